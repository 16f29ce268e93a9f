// SPDX-License-Identifier: Apache-2.0
#include "catch.h"

#include <limits>

#include <ATen/ops/arange.h>

#include <vesalius/core/checksum.h>
#include <vesalius/core/settings.h>

using namespace vesalius;

namespace {

enum class Kind { linear, cubic };
std::string to_string(Kind kind) { return kind == Kind::linear ? "linear" : "cubic"; }
void from_string(const std::string& text, Kind& kind) { kind = text == "cubic" ? Kind::cubic : Kind::linear; }

struct Example {
  bool on = true;
  int64_t count = 3;
  double width = 0.1;
  std::string name = "a \"quoted\": name";
  std::optional<std::array<double, 3>> resample;
  std::vector<std::string> families{"glcm", "1"};
  Kind kind = Kind::cubic;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("on", self.on);
    field("count", self.count);
    field("width", self.width);
    field("name", self.name);
    field("resample", self.resample);
    field("families", self.families);
    field("kind", self.kind);
  }
};

}  // namespace

TEST_CASE("settings survive YAML without loss", "[invariant]") {
  Example e;
  e.width = 0.1 + 0.2;
  e.resample = {{1, 1.0 / 3, std::numeric_limits<double>::infinity()}};
  const auto map = to_map(e);
  CHECK((from_yaml(to_yaml(map)) == map));
  CHECK((to_map(from_map<Example>(from_yaml(to_yaml(map)))) == map));
  CHECK(hash(map) != hash(to_map(Example{})));
}

TEST_CASE("wrong settings are named", "[mechanics]") {
  CHECK_THROWS_WITH(from_map<Example>({{"widht", 1.0}}), contains("Did you mean \"width\""));
  CHECK_THROWS_AS(from_map<Example>({{"width", std::string("x")}}), TypeMismatch);
  CHECK_THROWS_AS(from_map<Example>({{"resample", std::vector<double>{1, 2}}}), TypeMismatch);
  CHECK(from_map<Example>({{"width", int64_t{2}}}).width == 2.0);
  CHECK_THROWS_AS(from_yaml("a: {b: 1}"), FormatError);
  CHECK_THROWS_AS(from_yaml("- 1"), FormatError);
  CHECK_THROWS_AS(from_yaml("a: 1\na: 2"), FormatError);
  CHECK_THROWS_AS(from_yaml("a: [1, b"), FormatError);
}

TEST_CASE("SHA-256 of FIPS 180-4's examples", "[oracle: NIST]") {
  CHECK(sha256(std::string_view("")) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256(std::string_view("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256(std::string_view("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")) ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(sha256(std::string(1000000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  CHECK(sha256(at::arange(6)) != sha256(at::arange(6).reshape({2, 3})));
}
