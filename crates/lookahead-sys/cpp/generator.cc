// The state of libtorch's random generators, and which libtorch this is.

#include <ATen/Context.h>
#include <ATen/Version.h>
#include <torch/headeronly/version.h>

#include <mutex>

#include "lookahead-sys/src/ffi.rs.h"
#include "shim.h"

namespace lookahead {
namespace {

at::Generator generator(bool cuda, std::int8_t index) {
  const auto type = cuda ? c10::DeviceType::CUDA : c10::DeviceType::CPU;
  return at::globalContext().defaultGenerator(c10::Device(type, cuda ? index : -1));
}

}  // namespace

std::unique_ptr<Tensor> generator_state(bool cuda, std::int8_t index) {
  at::Generator source = generator(cuda, index);
  const std::lock_guard<std::mutex> lock(source.mutex());
  return std::make_unique<Tensor>(source.get_state());
}

void set_generator_state(bool cuda, std::int8_t index, const Tensor& state) {
  at::Generator target = generator(cuda, index);
  const std::lock_guard<std::mutex> lock(target.mutex());
  target.set_state(state);
}

void seed_generators(std::uint64_t seed) { at::manual_seed(seed); }

rust::String libtorch_version() { return TORCH_VERSION; }

rust::String cpu_capability() { return at::get_cpu_capability(); }

}  // namespace lookahead
