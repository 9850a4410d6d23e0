// Arithmetic on values in place, without autograd. Through tch these calls would panic where
// libtorch throws: its Scalar unwraps a pending error when it is dropped.

#include <ATen/core/grad_mode.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>

#include <cmath>
#include <vector>

#include "lookahead-sys/src/ffi.rs.h"
#include "shim.h"

namespace lookahead {
namespace {

// The gradients that there are; a parameter without one has an undefined tensor.
std::vector<Tensor> gradients(rust::Slice<const TensorRef> parameters) {
  std::vector<Tensor> found;
  found.reserve(parameters.size());
  for (const TensorRef& parameter : parameters) {
    const Tensor& gradient = parameter.tensor->grad();
    if (gradient.defined()) found.push_back(gradient);
  }
  return found;
}

}  // namespace

void assign(const Tensor* target, const Tensor* source) {
  const at::NoGradGuard no_grad;
  target->copy_(*source);
}

void clip_value(rust::Slice<const TensorRef> parameters, double max) {
  const at::NoGradGuard no_grad;
  for (const Tensor& gradient : gradients(parameters)) gradient.clamp_(-max, max);
}

double clip_norm(rust::Slice<const TensorRef> parameters, double max) {
  const at::NoGradGuard no_grad;
  const std::vector<Tensor> all = gradients(parameters);
  if (all.empty()) return 0.0;
  std::vector<Tensor> norms;
  norms.reserve(all.size());
  for (const Tensor& gradient : all) {
    // Half precision holds no norm above 65,504.
    const auto wide = gradient.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    const Tensor norm = at::linalg_vector_norm(gradient, 2, at::nullopt, false, wide);
    norms.push_back(norm.to(all.front().device(), at::kDouble));
  }
  // The one value that is read back from the device.
  const double norm = at::linalg_vector_norm(at::stack(norms), 2).item<double>();
  // PyTorch's clip_grad_norm_ keeps the quotient finite by the same small number.
  const double scale = max / (norm + 1e-6);
  if (std::isfinite(norm) && scale < 1.0) {
    for (const Tensor& gradient : all) gradient.mul_(scale);
  }
  return norm;
}

}  // namespace lookahead
