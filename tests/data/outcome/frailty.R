# SPDX-License-Identifier: Apache-2.0
# Makes frailty_gold.json: R's gamma frailty on its own data, iterated until theta stands still (eps=1e-13; r_gold.json has R's default of
# 1e-5 in the log-likelihood, which leaves theta at two digits). Also the data: kidney.csv, rats.csv. Rscript frailty.R FOLDER
library(survival); library(jsonlite)
folder <- commandArgs(TRUE)[1]
control <- coxph.control(eps = 1e-13, outer.max = 60, iter.max = 200)
rats <- survival::rats; rats <- rats[rats$sex == "f", c("litter", "rx", "time", "status")]
write.csv(kidney[, c("id", "time", "status", "age", "sex")], file.path(folder, "kidney.csv"), row.names = FALSE)
write.csv(rats, file.path(folder, "rats.csv"), row.names = FALSE)
one <- function(formula, data, ties) {
  f <- coxph(formula, data, ties = ties, control = control)
  h <- f$history[[1]]
  list(coef = unname(f$coefficients), se = unname(sqrt(diag(f$var)))[seq_along(f$coefficients)],
       theta = unname(h$history[nrow(h$history), 1]), marginal = unname(h$c.loglik))
}
fixed <- function(formula, data, ties) {
  f <- coxph(formula, data, ties = ties, control = control)
  list(coef = unname(f$coefficients[1:2]), se = unname(sqrt(diag(f$var)))[1:2], frailty = unname(f$frail),
       marginal = unname(f$history[[1]]$c.loglik))
}
out <- list(versions = list(R = R.version.string, survival = as.character(packageVersion("survival"))))
for (ties in c("efron", "breslow")) {
  out[[paste0("kidney_", ties)]] <- one(Surv(time, status) ~ age + sex + frailty(id, eps = 1e-13), kidney, ties)
  out[[paste0("rats_", ties)]] <- one(Surv(time, status) ~ rx + frailty(litter, eps = 1e-13), rats, ties)
}
# the whole matrix of second derivatives (sparse=FALSE) at a theta that is given; and at R's own last theta by default
f <- coxph(Surv(time, status) ~ age + sex + frailty(id, theta = 0.5, sparse = FALSE), kidney, control = control)
out$kidney_half <- list(coef = unname(f$coefficients[1:2]), se = unname(sqrt(diag(f$var)))[1:2],
                        log_frailty = unname(f$coefficients[-(1:2)]), marginal = unname(f$history[[1]]$c.loglik))
f <- coxph(Surv(time, status) ~ age + sex + frailty(id), kidney)
h <- f$history[[1]]$history
out$kidney_default <- list(coef = unname(f$coefficients), theta = unname(h[nrow(h), 1]), marginal = unname(h[nrow(h), 3]))
write_json(out, file.path(folder, "frailty_gold.json"), digits = 14, auto_unbox = TRUE, pretty = TRUE)
print(out)
