// Arithmetic in place, without autograd. Through tch these calls panic if libtorch throws: dropping its
// Scalar unwraps a pending error.

#include <ATen/core/grad_mode.h>

#include <vector>

#include "lookahead-sys/src/ffi.rs.h"
#include "shim.h"

namespace lookahead {
namespace {

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

void assign(const Tensor& target, const Tensor& source) {
  const at::NoGradGuard no_grad;
  target.copy_(source);
}

void clip_value(rust::Slice<const TensorRef> parameters, double max) {
  const at::NoGradGuard no_grad;
  for (const Tensor& gradient : gradients(parameters)) {
    TORCH_CHECK(!gradient.is_sparse(), "A sparse gradient can't be clipped by value. Clip it by its norm.");
    gradient.clamp_(-max, max);
  }
}

void fill(const Tensor& target, double value) {
  const at::NoGradGuard no_grad;
  target.fill_(value);
}

void scale(const Tensor& target, double factor) {
  const at::NoGradGuard no_grad;
  target.mul_(factor);
}

void lerp(const Tensor& target, const Tensor& end, double weight) {
  const at::NoGradGuard no_grad;
  target.lerp_(end, weight);
}

}  // namespace lookahead
