// Arithmetic in place, without autograd. Through tch these calls panic if libtorch throws: dropping its
// Scalar unwraps a pending error.

#include <ATen/core/grad_mode.h>

#include "lookahead-sys/src/ffi.rs.h"
#include "shim.h"

namespace lookahead {
void assign(const Tensor& target, const Tensor& source) {
  const at::NoGradGuard no_grad;
  target.copy_(source);
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
