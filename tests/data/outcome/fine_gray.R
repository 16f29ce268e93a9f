# SPDX-License-Identifier: Apache-2.0
# Makes fine_gray_gold.json: Fine and Gray by R's finegray + coxph(cluster=) with strata and left truncation, by cmprsk::crr with a
# censoring of each group's own (cengroup), and the smooth calibration of competing risks (Austin 2022) by crr and predict.crr, on numbers
# made by arithmetic, which test_fine_gray.py repeats. Rscript fine_gray.R OUT.json
suppressMessages({library(survival); library(cmprsk); library(jsonlite)})
n <- 300; i <- 1:n
part <- function(a, m) ((i * a) %% m + 0.5) / m
d <- data.frame(id = i, x1 = part(7919, 307), x2 = as.numeric((i * 31) %% 7 < 3), group = (i * 17) %% 3)
t1 <- -log(part(104729, 311)) * exp(-0.8 * d$x1 + 0.4 * d$x2); t2 <- -log(part(1299709, 313)) * 1.4 * exp(0.5 * d$x1 - 0.3 * d$group)
cens <- 2.2 * part(15485863, 317) + 0.2 * d$group
entry0 <- 0.25 * part(32452843, 331) * (i %% 2)
time <- pmin(t1, t2, cens); cause <- ifelse(time == cens, 0, ifelse(time == t1, 1, 2))
d$time <- time; d$cause <- factor(cause, 0:2, c("censored", "one", "two"))
out <- list(versions = list(R = R.version.string, survival = as.character(packageVersion("survival")),
                            cmprsk = as.character(packageVersion("cmprsk"))), causes = as.list(table(cause)))
result <- function(f) list(coef = unname(coef(f)), se = unname(sqrt(diag(vcov(f)))), loglik = unname(f$loglik[2]))
fit <- function(fg, formula) coxph(formula, fg, weights = fgwt, cluster = id, ties = "breslow", control = coxph.control(eps = 1e-12))
late <- d[entry0 < time, ]; late$entry <- entry0[entry0 < time]
fg <- finegray(Surv(entry, time, cause) ~ ., late, etype = "one", id = id)
out$entry <- result(fit(fg, Surv(fgstart, fgstop, fgstatus) ~ x1 + x2))
fg <- finegray(Surv(time, cause) ~ . + strata(group), d, etype = "one")
fg$group <- d$group[fg$id]
out$strata <- result(fit(fg, Surv(fgstart, fgstop, fgstatus) ~ x1 + x2 + strata(group)))
fg <- finegray(Surv(entry, time, cause) ~ . + strata(group), late, etype = "one", id = id)
fg$group <- d$group[fg$id]
out$both <- result(fit(fg, Surv(fgstart, fgstop, fgstatus) ~ x1 + x2 + strata(group)))
# calibration at t = 0.5 of risks that are off
risk <- pmin(0.95, 0.1 + 0.6 * d$x1^2 + 0.1 * d$x2); z <- log(-log(1 - risk)); k <- unname(quantile(z, c(0.1, 0.5, 0.9)))
p3 <- function(v) pmax(v, 0)^3
s <- (p3(z - k[1]) - p3(z - k[2]) * (k[3] - k[1]) / (k[3] - k[2]) + p3(z - k[3]) * (k[2] - k[1]) / (k[3] - k[2])) / (k[3] - k[1])^2
f <- crr(time, cause, cbind(z, s), failcode = 1, gtol = 1e-12)
p <- predict(f, cbind(z, s)); row <- max(which(p[, 1] <= 0.5)); observed <- p[row, -1]
slope <- crr(time, cause, cbind(z), failcode = 1, gtol = 1e-12)
out$calibration <- list(observed = unname(observed[1:20]), ici = mean(abs(observed - risk)), e50 = unname(quantile(abs(observed - risk), 0.5)),
                        slope = unname(slope$coef), se = sqrt(slope$var[1, 1]))
write_json(out, commandArgs(TRUE)[1], digits = 14, auto_unbox = TRUE, pretty = TRUE); print(out)
