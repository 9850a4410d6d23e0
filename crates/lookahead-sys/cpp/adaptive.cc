// The slow step size that minimizes a quadratic model of the loss between φ and θ.
//
// On L(x) = ½ (x − x*)ᵀA(x − x*) the best α between φ and θ is
//
//   α* = (φ − x*)ᵀA(φ − θ) / (φ − θ)ᵀA(φ − θ)          (Zhang et al., 2019, proposition 1)
//
// x* is unknown. One Newton step from θ approximates it: x* ≈ θ − A⁻¹g, where g is the gradient at θ.
// Substituted, A⁻¹ cancels: with d = φ − θ, (d + A⁻¹g)ᵀA d = dᵀA d + gᵀd, so
//
//   α = 1 + gᵀd / dᵀA d.
//
// If several processes train together, d = φ minus the mean of their θ. The mean of the α that each finds
// with its own g is then the α for the mean of the gradients, if A is the same.
//
// Only the diagonal of A is needed. Each parameter gives it as a second moment with the factor that corrects
// its bias.

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <limits>
#include <vector>

#include "lookahead-sys/src/ffi.rs.h"
#include "shim.h"

namespace lookahead {

namespace {

// `wide`: take products in f64 too, where those of f32 don't overflow.
double best_step(rust::Slice<const CurvatureTerm> terms, bool differences, bool wide) {
  const auto as_wide = [&](const Tensor& tensor) { return wide ? tensor.to(at::kDouble) : tensor; };
  std::vector<Tensor> slopes;
  std::vector<Tensor> curvatures;
  for (const CurvatureTerm& term : terms) {
    const Tensor& gradient = term.fast->grad();
    if (term.fast->numel() == 0) continue;
    const Tensor slow = as_wide(*term.slow);
    const Tensor end = (term.mean == nullptr ? *term.fast : *term.mean).to(slow.scalar_type());
    const bool is_difference = term.mean != nullptr && differences;
    const Tensor difference = is_difference ? -end : slow - end;
    // In double precision, because the sums run over all parameters.
    if (gradient.defined()) {
      const Tensor dense = gradient.is_sparse() ? gradient.to_dense() : gradient;
      slopes.push_back((as_wide(dense) * difference).sum(at::kDouble));
    }
    const Tensor curvature = difference.square().mul_(*term.second_moment).sum(at::kDouble);
    curvatures.push_back(curvature * term.scale);
  }
  if (slopes.empty() || curvatures.empty()) return std::numeric_limits<double>::quiet_NaN();
  const auto total = [&](std::vector<Tensor>& parts) -> Tensor {
    for (Tensor& part : parts) part = part.to(curvatures.front().device());
    return at::stack(parts).sum();
  };
  const Tensor slope = total(slopes);
  const Tensor curvature = total(curvatures);
  // The only value that is read back. The second term makes it NaN, not 0, if the curvature overflows.
  const Tensor step = slope / curvature + curvature * 0.0;
  return step.item<double>() + 1.0;
}

}  // namespace

double adaptive_slow_step_size(rust::Slice<const CurvatureTerm> terms, bool differences) {
  const at::NoGradGuard no_grad;
  const double step = best_step(terms, differences, false);
  return std::isfinite(step) ? step : best_step(terms, differences, true);
}

}  // namespace lookahead
