# SPDX-License-Identifier: Apache-2.0
# Makes parametric_gold.json: survreg with standard errors, interval censoring, weights, strata, and quantiles.
# Rscript parametric.R FOLDER_WITH_CSV OUT.json       R's survival
library(survival); library(jsonlite)
args <- commandArgs(TRUE); folder <- args[1]
lung <- read.csv(file.path(folder, "lung.csv"))
out <- list(versions = list(R = R.version.string, survival = as.character(packageVersion("survival"))))
keep <- function(f, new = NULL) {
  o <- list(coef = as.vector(coef(f)), scale = as.vector(f$scale), loglik = f$loglik[2], var = unname(f$var))
  if (!is.null(new)) o$quantile <- unname(predict(f, new, type = "quantile", p = c(.1, .5, .9)))
  o
}
control <- survreg.control(rel.tolerance = 1e-13, maxiter = 200)
new <- lung[1:3, ]
for (d in c("weibull", "exponential", "lognormal", "loglogistic"))
  out[[d]] <- keep(survreg(Surv(time, event) ~ age + sex + ph_ecog, data = lung, dist = d, control = control), new)
# visits every 90 days: the event lies between two; the first 20 subjects known exactly, some only left-censored
i <- seq_len(nrow(lung))
lower <- floor(lung$time / 90) * 90; upper <- lower + 90
lower[lower == 0] <- NA
upper[lung$event == 0] <- NA; lower[lung$event == 0] <- lung$time[lung$event == 0]
exact <- i <= 20 & lung$event == 1
lower[exact] <- upper[exact] <- lung$time[exact]
for (d in c("weibull", "lognormal", "loglogistic"))
  out[[paste0("interval_", d)]] <- keep(survreg(Surv(lower, upper, type = "interval2") ~ age + sex, data = lung, dist = d, control = control))
out$weights <- keep(survreg(Surv(time, event) ~ age + sex, data = lung, dist = "weibull", weights = i %% 3 + 1, control = control))
out$strata <- keep(survreg(Surv(time, event) ~ age + strata(sex), data = lung, dist = "weibull", control = control))
write_json(out, args[2], digits = 15, auto_unbox = TRUE, pretty = TRUE)
