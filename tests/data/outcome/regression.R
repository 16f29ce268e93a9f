# SPDX-License-Identifier: Apache-2.0
# Makes regression_gold.json: polr and clm, multinom, glmnet (gaussian, multinomial), Firth's correction by its definition, lmer.
# Rscript regression.R OUT.json        MASS, ordinal, nnet, glmnet, lme4; the data are made by arithmetic, the same in the test
library(MASS); library(ordinal); library(nnet); library(glmnet); library(lme4); library(jsonlite)
args <- commandArgs(TRUE)
out <- list(versions = sapply(c("MASS", "ordinal", "nnet", "glmnet", "lme4"), function(p) as.character(packageVersion(p))))
n <- 300; i <- seq_len(n)
noise <- function(k) ((i * k) %% 1009) / 1009 - 0.5
X <- cbind(a = noise(7919), b = 10 * noise(104729) + 3, c = i %% 2)
s <- 1.5 * X[, 1] - 0.15 * X[, 2] + 0.6 * X[, 3] + 3 * noise(1299709)
level <- as.integer(cut(s, c(-Inf, -1, 0, 0.8, Inf)))          # 1 to 4
kind <- (level + (i * 31) %% 5) %% 3                            # 0 to 2
w <- i %% 3 + 1
d <- data.frame(X, level = factor(level, ordered = TRUE), kind = factor(kind), s = s)
f <- clm(level ~ a + b + c, data = d, control = clm.control(gradTol = 1e-12, maxIter = 100))
out$clm <- list(coef = unname(f$beta), zeta = unname(f$alpha), loglik = as.numeric(logLik(f)), vcov = unname(vcov(f)))
f <- clm(level ~ a + b + c, data = d, weights = w, control = clm.control(gradTol = 1e-12, maxIter = 100))
out$clm_weights <- list(coef = unname(f$beta), zeta = unname(f$alpha), loglik = as.numeric(logLik(f)))
f <- polr(level ~ a + b + c, data = d, Hess = TRUE, control = list(reltol = 1e-15, maxit = 1000))
out$polr <- list(coef = unname(coef(f)), zeta = unname(f$zeta), deviance = f$deviance, probs = unname(fitted(f)[1:5, ]))
f <- multinom(kind ~ a + b + c, data = d, trace = FALSE, reltol = 1e-15, abstol = 1e-12, maxit = 2000, Hess = TRUE)
out$multinom <- list(coef = unname(coef(f)), loglik = as.numeric(logLik(f)), vcov = unname(vcov(f)), probs = unname(fitted(f)[1:5, ]))
f <- glmnet(X, d$kind, family = "multinomial", alpha = 0.5, lambda = c(0.1, 0.03, 0.01), thresh = 1e-14)
out$glmnet_multinomial <- list(lambda = f$lambda, coef = lapply(1:3, function(k) sapply(coef(f), function(m) as.vector(m[, k]))))
f <- glmnet(X, s, alpha = 1, lambda = c(0.3, 0.1, 0.03), thresh = 1e-16)
out$glmnet_gaussian <- list(lambda = f$lambda, coef = unname(as.matrix(coef(f))))
f <- lm(s ~ a + b + c, data = d)
out$lm <- list(coef = unname(coef(f)), vcov = unname(vcov(f)), sigma = sigma(f), r2 = summary(f)$r.squared, loglik = as.numeric(logLik(f)))
# growth: 60 subjects, 3 to 7 visits
m <- 60
subject <- rep(seq_len(m), 3 + seq_len(m) %% 5)
k <- seq_along(subject)
month <- ave(k, subject, FUN = seq_along) * 1.5 + ((k * 7919) %% 13) / 13
age <- 50 + (subject * 37) %% 30
g <- function(k, p, q) qnorm(((k * p) %% q + 0.5) / q)
score <- 40 + 3 * month - 0.2 * age + 6 * g(subject, 17, 61) + 1.1 * month * g(subject, 29, 61) + 2 * g(k, 7919, 1009)
e <- data.frame(subject, month, age, score)
ctrl <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-12, maxfun = 1e5), calc.derivs = FALSE)
keep <- function(f) list(coef = unname(fixef(f)), vcov = unname(as.matrix(vcov(f))), sigma = sigma(f), random = unname(matrix(VarCorr(f)$subject, nrow(VarCorr(f)$subject))),
  loglik = as.numeric(logLik(f)), effects = unname(as.matrix(ranef(f)$subject)),
  condvar = unname(attr(ranef(f, condVar = TRUE)$subject, "postVar")[, , 1]), fitted = unname(fitted(f)[1:10]))
out$lmer_reml <- keep(lmer(score ~ month + age + (month | subject), e, REML = TRUE, control = ctrl))
out$lmer_ml <- keep(lmer(score ~ month + age + (month | subject), e, REML = FALSE, control = ctrl))
out$lmer_intercept <- keep(lmer(score ~ month + age + (1 | subject), e, REML = TRUE, control = ctrl))
# Firth: the maximum of logLik + log det(X'WX) / 2, by optim, on the classical table of separation
y <- c(0, 0, 0, 0, 0, 0, 1, 0, 1, 1, 1, 1); z <- cbind(1, c(0:11) / 10, c(1, 0, 0, 1, 1, 0, 1, 0, 1, 0, 1, 1))
pen <- function(b, keep = rep(TRUE, 3)) {
  e <- z %*% b; p <- plogis(e)
  -(sum(y * plogis(e, log.p = TRUE) + (1 - y) * plogis(-e, log.p = TRUE)) + determinant(t(z) %*% (z * as.vector(p * (1 - p))))$modulus / 2)
}
best <- optim(rep(0, 3), pen, method = "BFGS", control = list(reltol = 1e-16, maxit = 5000))
best <- optim(best$par, pen, method = "Nelder-Mead", control = list(reltol = 1e-16, maxit = 20000))
prof <- function(j, v) { g <- function(r) { b <- numeric(3); b[j] <- v; b[-j] <- r; pen(b) }; o <- optim(best$par[-j], g, method = "BFGS", control = list(reltol = 1e-15, maxit = 2000)); o$value }
drop <- qchisq(.95, 1) / 2
p <- as.vector(plogis(z %*% best$par)); far <- 6 * sqrt(diag(solve(t(z) %*% (z * p * (1 - p)))))
lim <- t(sapply(1:3, function(j) c(uniroot(function(v) prof(j, v) - best$value - drop, best$par[j] - c(far[j], 0.001), tol = 1e-9)$root,
                                  uniroot(function(v) prof(j, v) - best$value - drop, best$par[j] + c(0.001, far[j]), tol = 1e-9)$root)))
out$firth <- list(coef = best$par, loglik = -best$value, vcov = solve(t(z) %*% (z * p * (1 - p))), limits = lim,
                  chisq = sapply(1:3, function(j) 2 * (prof(j, 0) - best$value)))
write_json(out, args[1], digits = 15, auto_unbox = TRUE, pretty = TRUE)
