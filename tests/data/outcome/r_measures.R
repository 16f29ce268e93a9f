# SPDX-License-Identifier: Apache-2.0
# Makes r_measures.json, the oracle of the measures: Rscript r_measures.R (in this folder).
suppressMessages({library(survival); library(riskRegression); library(rms); library(pec); library(jsonlite)})
out <- list(versions = lapply(c(survival = "survival", riskRegression = "riskRegression", rms = "rms", pec = "pec", Hmisc = "Hmisc"),
                              function(p) as.character(packageVersion(p))))
conc <- function(...) { call <- as.call(c(quote(concordance), match.call(expand.dots = FALSE)$..., reverse = TRUE)); r <- eval(call, parent.frame()); list(c = unname(r$concordance), se = sqrt(r$var), counts = unname(as.numeric(r$count))) }

# 1. concordances of a covariate with ties, times with ties
for (name in c("lung", "gbsg2", "rossi")) {
  d <- read.csv(paste0(name, ".csv")); column <- c(lung = "ph_ecog", gbsg2 = "pnodes", rossi = "prio")[[name]]; x <- d[[column]]
  y <- Surv(d$time, d$event); w <- 1 + seq_along(x) %% 3; tau <- quantile(d$time[d$event == 1], 0.8, names = FALSE)
  start <- d$time * (seq_along(x) %% 4) / 5
  v <- list(column = column, tau = tau)
  for (t in c("n", "S", "S/G", "n/G2", "I")) {
    v[[t]] <- conc(y ~ x, timewt = t)
    v[[paste(t, "tau")]] <- conc(y ~ x, timewt = t, ymax = tau)
    v[[paste(t, "weights")]] <- conc(y ~ x, timewt = t, weights = w)
  }
  v[["start"]] <- conc(Surv(start, d$time, d$event) ~ x)
  v[["start weights"]] <- conc(Surv(start, d$time, d$event) ~ x, weights = w)
  v[["outx"]] <- unname(1 - rcorr.cens(x, y, outx = TRUE)["C Index"])
  z <- d$age; fits <- list(coxph(y ~ x), coxph(y ~ z)); two <- concordance(fits[[1]], fits[[2]])
  v[["two"]] <- list(column = "age", signs = unname(sign(c(coef(fits[[1]]), coef(fits[[2]])))), c = unname(two$concordance), var = unname(two$var))
  out$concordance[[name]] <- v
}

# 2. AUC and Brier with errors, of risks given by a formula: 1 - exp(-t/scale exp(x standardised / 2))
risks <- function(x, scale, times) { u <- (x - mean(x)) / sd(x); outer(exp(u / 2), times / scale, function(a, b) 1 - exp(-a * b)) }
score <- function(formula, d, risk, times, cause = 1) {
  s <- suppressWarnings(Score(list(m = risk), formula = formula, data = d, times = times, cause = cause, metrics = c("auc", "brier"),
                              summary = c("ipa", "ibs"), se.fit = TRUE, null.model = TRUE, cens.model = "km"))
  a <- s$AUC$score; b <- s$Brier$score[s$Brier$score$model == "m", ]; b0 <- s$Brier$score[s$Brier$score$model == "Null model", ]
  list(times = times, auc = a$AUC, auc_se = a$se, brier = b$Brier, brier_se = b$se, null = b0$Brier, null_se = b0$se, ipa = b$IPA, ibs = b$IBS)
}
for (name in c("lung", "gbsg2", "whas500")) {
  d <- read.csv(paste0(name, ".csv")); column <- c(lung = "age", gbsg2 = "pnodes", whas500 = "age")[[name]]; x <- d[[column]]
  times <- quantile(d$time[d$event == 1], c(0.1, 0.3, 0.5, 0.7, 0.85), names = FALSE)
  scale <- mean(d$time) * 2
  out$score[[name]] <- c(list(column = column, scale = scale),
                         score(Surv(time, event) ~ 1, d, risks(x, scale, times), times))
}

# 3. competing events: simulated, times with ties
set.seed(6); n <- 250; x <- round(rnorm(n), 2); t1 <- rexp(n, 0.1 * exp(0.7 * x)); t2 <- rexp(n, 0.06); ce <- runif(n, 0, 20)
d <- data.frame(x = x, time = ceiling(2 * pmin(t1, t2, ce)) / 2, event = ifelse(ce < pmin(t1, t2), 0, ifelse(t1 < t2, 1, 2)))
times <- c(1.25, 3, 5.5, 8.25, 12)
out$competing <- c(list(data = d, scale = 15), score(Hist(time, event) ~ 1, d, risks(d$x, 15, times), times))
group <- d$x > 0.3
ci <- prodlim::prodlim(Hist(time, event) ~ 1, data = d[group, ])
out$competing$cif <- list(times = times, value = predict(ci, times = times, cause = 1), share = mean(group))

# 4. calibration of risks at a time
d <- read.csv("gbsg2.csv"); t <- 1000; r <- as.numeric(risks(d$age, 3000, t)); cll <- log(-log(1 - r))
cal <- coxph(Surv(d$time, d$event) ~ rcs(cll, 3)); kn <- attr(rcs(cll, 3), "parms")
base <- survfit(cal, newdata = data.frame(cll = cll)); obs <- 1 - as.numeric(summary(base, times = t)$surv)
dist <- abs(r - obs)
G <- survfit(Surv(d$time, 1 - d$event) ~ 1); Gm <- function(u) { f <- stepfun(G$time, c(1, G$surv), right = TRUE); f(u) }
# events leave before censorings at their time: the curve of censoring with those at risk less events
fit <- prodlim::prodlim(Hist(time, event) ~ 1, data = d, reverse = TRUE)
gi <- prodlim::predictSurvIndividual(fit, lag = 1); gt <- predict(fit, times = t)
state <- as.numeric(d$time <= t & d$event == 1)
w <- ifelse(d$time > t, 1 / gt, ifelse(d$event == 1, 1 / gi[rank(d$time, ties.method = "first")], 0))
ord <- order(d$time, -d$event); gi2 <- numeric(nrow(d)); gi2[ord] <- gi
w <- ifelse(d$time > t, 1 / gt, ifelse(d$event == 1, 1 / gi2, 0))
eta <- qlogis(r)
slope <- suppressWarnings(glm(state ~ eta, family = quasibinomial, weights = w, control = list(epsilon = 1e-14, maxit = 100)))
large <- suppressWarnings(glm(state ~ offset(eta), family = quasibinomial, weights = w, control = list(epsilon = 1e-14, maxit = 100)))
km <- survfit(Surv(d$time, d$event) ~ 1); s <- summary(km, times = t)
groups <- cut(rank(r, ties.method = "first"), 5, labels = FALSE)
out$calibration <- list(column = "age", time = t, scale = 3000, smooth_first20 = obs[1:20], ici = mean(dist), e50 = median(dist),
  e90 = unname(quantile(dist, 0.9)), cox_slope = unname(coef(coxph(Surv(d$time, d$event) ~ cll))),
  cox_slope_se = sqrt(vcov(coxph(Surv(d$time, d$event) ~ cll))[1]), slope = unname(coef(slope)[2]), intercept = unname(coef(large)),
  ratio = (1 - s$surv) / mean(r), observed_se = s$std.err)
# binary: loess, and ICI from it
y <- state[d$time > t | d$event == 1]; p <- r[d$time > t | d$event == 1]
lo <- loess(y ~ p, span = 0.75, degree = 2, control = loess.control(surface = "direct"))
o <- predict(lo, newdata = data.frame(p = p))
out$binary <- list(y = y, p = p, loess = as.numeric(o), ici = mean(abs(pmin(pmax(o, 0), 1) - p)))

# 5. net benefit with censoring, Vickers 2008: Kaplan-Meier among those above the threshold
nb <- sapply(c(0.1, 0.2, 0.3), function(pt) { k <- r >= pt; if (!any(k)) return(0); f <- summary(survfit(Surv(d$time[k], d$event[k]) ~ 1), times = t)$surv
  (1 - f) * mean(k) - f * mean(k) * pt / (1 - pt) })
out$net_benefit <- list(thresholds = c(0.1, 0.2, 0.3), value = nb)

# 6. pec::cindex, all its ways with ties
d <- read.csv("lung.csv"); x <- d$ph_ecog
for (a in c(TRUE, FALSE)) for (b in c(TRUE, FALSE)) for (m in c(TRUE, FALSE)) {
  p <- suppressWarnings(pec::cindex(list(matrix(-x, ncol = 1)), formula = Surv(time, event) ~ 1, data = d, cens.model = "none", verbose = FALSE,
    eval.times = max(d$time), tiedPredictionsIn = a, tiedOutcomeIn = b, tiedMatchIn = m))
  out$pec[[paste0(ifelse(a, "P", "-"), ifelse(b, "O", "-"), ifelse(m, "M", "-"))]] <- unname(p$AppCindex[[1]])
}
write(toJSON(out, digits = 15, auto_unbox = TRUE), "r_measures.json")
