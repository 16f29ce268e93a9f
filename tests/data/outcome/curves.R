# SPDX-License-Identifier: Apache-2.0
# Makes curves_gold.json: what r_gold.json lacks of the curves. Rscript curves.R FOLDER_WITH_CSV OUT.json
# R's survival (survfit, survdiff, print(rmean)), cmprsk (cuminc).
library(survival); library(cmprsk); library(jsonlite)
args <- commandArgs(TRUE); folder <- args[1]
lung <- read.csv(file.path(folder, "lung.csv")); gbsg2 <- read.csv(file.path(folder, "gbsg2.csv"))
out <- list(versions = list(R = R.version.string, survival = as.character(packageVersion("survival")),
                            cmprsk = as.character(packageVersion("cmprsk"))))
# left truncation: entry made of the row number, the same in the test
lung$entry <- pmin((seq_len(nrow(lung)) * 37) %% 120, lung$time - 1)
w <- seq_len(nrow(lung)) %% 3 + 1
at <- c(60, 100, 200, 350, 500)
fit <- survfit(Surv(entry, time, event) ~ 1, data = lung)
s <- summary(fit, times = at)
out$truncated <- list(time = at, surv = s$surv, se = s$std.err, lower = s$lower, upper = s$upper, n_risk = s$n.risk,
                      cumhaz = s$cumhaz, std_chaz = s$std.chaz)
fit <- survfit(Surv(time, event) ~ 1, data = lung, ctype = 1)
s <- summary(fit, times = at)
out$nelson_aalen <- list(time = at, cumhaz = s$cumhaz, std_chaz = s$std.chaz)
fit <- survfit(Surv(time, event) ~ 1, data = lung, ctype = 2)
s <- summary(fit, times = at)
out$fleming_harrington <- list(time = at, cumhaz = s$cumhaz, std_chaz = s$std.chaz)
q <- quantile(survfit(Surv(time, event) ~ 1, data = lung), c(.1, .25, .5, .75))
out$quantiles <- list(p = c(.1, .25, .5, .75), quantile = q$quantile, lower = q$lower, upper = q$upper)
q <- quantile(survfit(Surv(time, event) ~ 1, data = lung, conf.type = "log-log", conf.int = .9), c(.1, .25, .5, .75))
out$quantiles_loglog90 <- list(p = c(.1, .25, .5, .75), quantile = q$quantile, lower = q$lower, upper = q$upper)
for (rho in c(0, 0.5, 1)) {
  d <- survdiff(Surv(time, event) ~ sex, data = lung, rho = rho)
  out[[paste0("survdiff_rho", rho)]] <- list(chisq = d$chisq, obs = as.vector(d$obs), exp = as.vector(d$exp), var = d$var)
}
d <- survdiff(Surv(time, event) ~ sex + strata(ph_ecog), data = lung, rho = 1)
out$survdiff_strata <- list(chisq = d$chisq)
d <- survdiff(Surv(time, event) ~ ph_ecog, data = lung)
out$survdiff_4groups <- list(chisq = d$chisq, obs = as.vector(d$obs), exp = as.vector(d$exp), var = d$var)
# restricted means: print(survfit, rmean=tau) and the differences written out as survRM2 does
for (tau in c(300, 700)) {
  t <- summary(survfit(Surv(time, event) ~ sex, data = lung), rmean = tau)$table
  rm <- t[, "rmean"]; se <- t[, grep("se", colnames(t))]
  z <- (rm[2] - rm[1]) / sqrt(sum(se^2))
  lr <- log(rm[2] / rm[1]); lse <- sqrt(sum((se / rm)^2))
  out[[paste0("rmean", tau)]] <- list(rmean = as.vector(rm), se = as.vector(se), difference = as.vector(rm[2] - rm[1]),
    difference_se = sqrt(sum(se^2)), p = as.vector(2 * pnorm(-abs(z))), ratio = as.vector(rm[2] / rm[1]),
    ratio_lower = as.vector(exp(lr - qnorm(.975) * lse)), ratio_upper = as.vector(exp(lr + qnorm(.975) * lse)))
}
bmt <- read.csv(file.path(folder, "bmt.csv"))
ci <- with(bmt, cuminc(time, event, dis_1))
out$gray_bmt <- list(stat = as.vector(ci$Tests[, "stat"]), p = as.vector(ci$Tests[, "pv"]), df = as.vector(ci$Tests[, "df"]))
# three groups, causes, ties and strata; numbers made by arithmetic, the same in the test
n <- 400; i <- seq_len(n)
d <- data.frame(time = 1 + (i * 7919) %% 97 %/% 3, cause = (i * 104729) %% 11 %% 3, group = (i * 31) %% 7 %% 3, stratum = (i * 17) %% 5 %% 2)
ci <- with(d, cuminc(time, cause, group))
out$gray_made <- list(stat = as.vector(ci$Tests[, "stat"]), p = as.vector(ci$Tests[, "pv"]))
ci <- with(d, cuminc(time, cause, group, strata = stratum, rho = 1))
out$gray_made_strata_rho1 <- list(stat = as.vector(ci$Tests[, "stat"]), p = as.vector(ci$Tests[, "pv"]))
ci <- with(d, cuminc(time, cause))
tp <- timepoints(ci, c(2, 10, 20, 30))
out$cuminc_made <- list(time = c(2, 10, 20, 30), est = unname(tp$est), var = unname(tp$var))
write_json(out, args[2], digits = 15, auto_unbox = TRUE, pretty = TRUE)
