// Images from bytes to normalized floats, gathered and computed in one pass.

#include <ATen/Parallel.h>

#include <algorithm>
#include <memory>

#include "lookahead-sys/src/ffi.rs.h"
#include "lookahead-sys/src/ffi/images.rs.h"
#include "shim.h"
#include "wide.h"

namespace lookahead {
namespace {

struct Normalize {
  static LOOKAHEAD_INLINE void run(const std::uint8_t* bytes, float* floats, std::size_t count, float mean,
                                   float std) {
    float* __restrict__ out = floats;
    for (std::size_t i = 0; i < count; ++i) out[i] = (static_cast<float>(bytes[i]) - mean) / std;
  }
};

// Floats that are worth waking another thread for: about ten microseconds of work.
constexpr std::size_t kGrain = 1 << 15;

}  // namespace

void normalized_images(rust::Slice<const std::uint8_t> pixels, rust::Slice<const std::size_t> indices,
                       rust::Slice<const float> mean, rust::Slice<const float> std, std::size_t plane,
                       rust::Slice<float> out) {
  const std::size_t channels = mean.size();
  const std::size_t size = channels * plane;
  if (size == 0) return;
  const auto normalize = fastest<Normalize, const std::uint8_t*, float*, std::size_t, float, float>();
  const auto grain = static_cast<std::int64_t>(std::max<std::size_t>(1, kGrain / size));
  at::parallel_for(0, static_cast<std::int64_t>(indices.size()), grain,
                   [&](std::int64_t begin, std::int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
      const std::uint8_t* image = pixels.data() + indices[i] * size;
#if defined(__GNUC__)
      // A batch's images are scattered: prefetch the next one while this one is computed.
      if (i + 1 < static_cast<std::size_t>(end)) {
        const auto* next = reinterpret_cast<const char*>(pixels.data() + indices[i + 1] * size);
        for (std::size_t line = 0; line < std::min<std::size_t>(size, 4096); line += 64) {
          __builtin_prefetch(next + line);
        }
      }
#endif
      for (std::size_t channel = 0; channel < channels; ++channel) {
        normalize(image + channel * plane, out.data() + i * size + channel * plane, plane, mean[channel],
                  std[channel]);
      }
    }
  });
}

std::unique_ptr<Tensor> pin_memory(const Tensor& tensor) {
  return std::make_unique<Tensor>(tensor.pin_memory());
}

}  // namespace lookahead
