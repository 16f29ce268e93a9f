// SPDX-License-Identifier: Apache-2.0
// survival TABLE.csv: Cox's model of the columns on `time` and `event`, its concordance, and the median survival.

#include <cmath>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <ATen/ops/empty.h>

#include <vesalius/core/error.h>
#include <vesalius/outcome/concordance.h>
#include <vesalius/outcome/cox.h>
#include <vesalius/outcome/kaplan_meier.h>

namespace outcome = vesalius::outcome;

namespace {

struct Table {
  std::vector<std::string> terms;  // the columns that are neither time nor event
  at::Tensor x, time, event;
};

Table read_table(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("can't open " + path);
  const auto cells = [](const std::string& line) {
    std::vector<std::string> out;
    std::istringstream stream(line);
    for (std::string cell; std::getline(stream, cell, ',');) out.push_back(cell);
    return out;
  };
  std::string line;
  std::getline(file, line);
  const auto header = cells(line);
  std::vector<std::vector<double>> rows;
  while (std::getline(file, line)) {
    auto& row = rows.emplace_back();
    for (const auto& cell : cells(line)) row.push_back(std::stod(cell));
    if (row.size() != header.size()) {
      throw std::runtime_error(path + ", line " + std::to_string(rows.size() + 1) + ": " + std::to_string(row.size()) +
                               " numbers, and the header has " + std::to_string(header.size()));
    }
  }

  Table table;
  for (const auto& name : header) {
    if (name != "time" && name != "event") table.terms.push_back(name);
  }
  if (table.terms.size() + 2 != header.size()) throw std::runtime_error(path + ": columns time and event are needed");
  const auto n = static_cast<int64_t>(rows.size());
  table.x = at::empty({n, static_cast<int64_t>(table.terms.size())}, at::kDouble);
  table.time = at::empty({n}, at::kDouble);
  table.event = at::empty({n}, at::kDouble);
  auto x = table.x.accessor<double, 2>();
  for (int64_t i = 0; i < n; ++i) {
    int64_t term = 0;
    for (size_t j = 0; j < header.size(); ++j) {
      if (header[j] == "time") {
        table.time.data_ptr<double>()[i] = rows[i][j];
      } else if (header[j] == "event") {
        table.event.data_ptr<double>()[i] = rows[i][j];
      } else {
        x[i][term++] = rows[i][j];
      }
    }
  }
  return table;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: survival TABLE.csv    (columns time, event (0 or 1), and numbers)\n";
    return 2;
  }
  try {
    const Table table = read_table(argv[1]);
    const auto fit = outcome::fit_cox(table.x, table.time, table.event);  // Efron's ties
    const auto risk = outcome::predict_cox(fit, table.x);
    const auto concordance = outcome::concordance_index(table.time, table.event, risk);
    const auto curve = outcome::kaplan_meier(table.time, table.event);

    std::cout.precision(12);
    std::cerr.precision(12);
    std::cout << "term,coef,hazard_ratio,standard_error,p\n";
    for (size_t j = 0; j < table.terms.size(); ++j) {
      const double coef = fit.coef.data_ptr<double>()[j];
      const double error = std::sqrt(fit.covariance.accessor<double, 2>()[j][j]);
      const double p = std::erfc(std::abs(coef / error) / std::sqrt(2.0));  // Wald's test, two-sided
      std::cout << table.terms[j] << ',' << coef << ',' << std::exp(coef) << ',' << error << ',' << p << '\n';
    }
    std::cerr << "log-likelihood " << fit.log_likelihood << " (without the columns " << fit.log_likelihood_null << ")\n"
              << "concordance " << concordance.value << ", standard error " << concordance.standard_error << '\n'
              << "median survival " << outcome::curve_quantile(curve.time, curve.survival, 0.5) << '\n';
  } catch (const std::exception& error) {  // vesalius::Error is one too
    std::cerr << "survival: " << error.what() << '\n';
    return 1;
  }
}
