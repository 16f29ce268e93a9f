# SPDX-License-Identifier: Apache-2.0
# Makes glmnet_cox_gold.json: glmnet's Cox coefficients at the strengths of r_gold.json, converged as far as doubles go (thresh=1e-16,
# where r_gold.json has 1e-12 and 1e-14). Where a subject is censored at a time of events glmnet leaves it out of that risk set; `later`
# has the same fit with the censored a hair (1e-7) later, which puts them back; `lasso_reversed` has the rows in reverse order, which
# changes glmnet's answer there (and nowhere else).
# Rscript glmnet_cox.R FOLDER_WITH_CSV r_gold.json OUT.json     (the csv: time, event, columns; deepsurv_*.csv from deepsurv_train.h5)
library(survival); library(glmnet); library(jsonlite)
args <- commandArgs(TRUE); gold <- fromJSON(args[2])
out <- list(versions = list(R = R.version.string, glmnet = as.character(packageVersion("glmnet"))))
fit <- function(x, time, event, lambda, alpha)
  unname(as.matrix(glmnet(x, Surv(time, event), family = "cox", alpha = alpha, lambda = lambda, thresh = 1e-16, maxit = 1e7)$beta))
for (name in names(gold)) {
  g <- gold[[name]]
  if (is.null(g$glmnet_cox_alpha0.9)) next
  d <- read.csv(file.path(args[1], paste0(name, ".csv"))); x <- as.matrix(d[, -(1:2)])
  tied <- any(d$time[d$event == 0] %in% d$time[d$event == 1])
  later <- ifelse(d$event == 0, d$time * (1 + 1e-7), d$time)
  entry <- list(tied = tied, path = t(fit(x, d$time, d$event, g$glmnet_cox_alpha0.9$lambda, 0.9)),
                lasso = c(fit(x, d$time, d$event, g$glmnet_lasso$lambda, 1)))
  if (tied) entry <- c(entry, list(path_later = t(fit(x, later, d$event, g$glmnet_cox_alpha0.9$lambda, 0.9)),
                                   lasso_later = c(fit(x, later, d$event, g$glmnet_lasso$lambda, 1)),
                                   lasso_reversed = c(fit(x[nrow(x):1, ], rev(d$time), rev(d$event), g$glmnet_lasso$lambda, 1))))
  out[[name]] <- entry
}
write_json(out, args[3], digits = 12, auto_unbox = TRUE)
