// Process groups: c10d's store and its Gloo backend, which libtorch has inside.

#define USE_C10D_GLOO

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/cat.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <cstring>
#include <utility>

#include "flat.h"
#include "lookahead-sys/src/ffi.rs.h"
#include "shim.h"

namespace lookahead {

struct ProcessGroup::Parts {
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::Backend> backend;
  // Of each operation.
  std::chrono::milliseconds timeout;
};

ProcessGroup::ProcessGroup(std::unique_ptr<Parts> made) : parts(std::move(made)) {}
ProcessGroup::~ProcessGroup() = default;

struct Work::Parts {
  c10::intrusive_ptr<c10d::Work> work;
  // What it works on must live as long.
  std::vector<Tensor> tensors;
};

Work::Work(std::unique_ptr<Parts> made) : parts(std::move(made)) {}
Work::~Work() = default;

namespace {

std::string string(rust::Str text) { return {text.data(), text.size()}; }

std::vector<std::string> strings(rust::Slice<const rust::Str> texts) {
  std::vector<std::string> all;
  all.reserve(texts.size());
  for (const rust::Str& text : texts) all.push_back(string(text));
  return all;
}

std::unique_ptr<Work> started(c10::intrusive_ptr<c10d::Work> work, std::vector<Tensor> tensors) {
  return std::make_unique<Work>(
      std::make_unique<Work::Parts>(Work::Parts{std::move(work), std::move(tensors)}));
}

}  // namespace

std::unique_ptr<ProcessGroup> join_store(const StoreAddress& address) {
  c10d::TCPStoreOptions options;
  options.port = address.port;
  options.isServer = address.listener >= 0;
  // Who comes is counted by keys, which tell the one who does not by its rank.
  options.waitWorkers = false;
  options.timeout = std::chrono::milliseconds(address.timeout);
  if (options.isServer) options.masterListenFd = address.listener;
  auto store = c10::make_intrusive<c10d::TCPStore>(std::string(address.host), options);
  auto prefixed = c10::make_intrusive<c10d::PrefixStore>(std::string(address.prefix), store);
  return std::make_unique<ProcessGroup>(
      std::make_unique<ProcessGroup::Parts>(ProcessGroup::Parts{std::move(prefixed), {}, options.timeout}));
}

void store_set(const ProcessGroup& group, rust::Str key, rust::Slice<const std::uint8_t> value) {
  group.parts->store->set(string(key), std::vector<std::uint8_t>(value.begin(), value.end()));
}

rust::Vec<std::uint8_t> store_get(const ProcessGroup& group, rust::Str key) {
  rust::Vec<std::uint8_t> value;
  for (const std::uint8_t byte : group.parts->store->get(string(key))) value.push_back(byte);
  return value;
}

bool store_has(const ProcessGroup& group, rust::Slice<const rust::Str> keys) {
  return group.parts->store->check(strings(keys));
}

void connect_gloo(ProcessGroup& group, const GlooAddress& address) {
  auto options = c10d::ProcessGroupGloo::Options::create(std::chrono::milliseconds(address.timeout));
  const std::string name(address.name);
  options->devices.push_back(address.is_interface
                                 ? c10d::ProcessGroupGloo::createDeviceForInterface(name)
                                 : c10d::ProcessGroupGloo::createDeviceForHostname(name));
  group.parts->backend =
      c10::make_intrusive<c10d::ProcessGroupGloo>(group.parts->store, address.rank, address.size, options);
}

void disconnect(const ProcessGroup& group) { group.parts->backend.reset(); }

void leave_group(ProcessGroup& group) {
  group.parts->backend.reset();
  group.parts->store.reset();
}

std::unique_ptr<Work> all_reduce(const ProcessGroup& group, const Tensor* tensor, bool largest) {
  std::vector<Tensor> tensors{tensor->detach()};
  c10d::AllreduceOptions options;
  options.timeout = group.parts->timeout;
  options.reduceOp = largest ? c10d::ReduceOp::MAX : c10d::ReduceOp::SUM;
  return started(group.parts->backend->allreduce(tensors, options), tensors);
}

std::unique_ptr<Work> broadcast(const ProcessGroup& group, const Tensor* tensor, std::int32_t root) {
  std::vector<Tensor> tensors{tensor->detach()};
  c10d::BroadcastOptions options;
  options.timeout = group.parts->timeout;
  options.rootRank = root;
  return started(group.parts->backend->broadcast(tensors, options), tensors);
}

std::unique_ptr<Work> all_gather(const ProcessGroup& group, const Tensor* all, const Tensor* own) {
  Tensor output = all->detach(), input = own->detach();
  c10d::AllgatherOptions options;
  options.timeout = group.parts->timeout;
  return started(group.parts->backend->_allgather_base(output, input, options), {output, input});
}

std::unique_ptr<Work> gather_to_first(const ProcessGroup& group, rust::Slice<const TensorRef> all,
                                      const Tensor* own) {
  std::vector<std::vector<Tensor>> outputs;
  std::vector<Tensor> input{own->detach()}, kept = input;
  if (!all.empty()) {
    outputs.emplace_back();
    for (const TensorRef& ref : all) outputs[0].push_back(ref.tensor->detach());
    kept.insert(kept.end(), outputs[0].begin(), outputs[0].end());
  }
  c10d::GatherOptions options;
  options.timeout = group.parts->timeout;
  options.rootRank = 0;
  return started(group.parts->backend->gather(outputs, input, options), kept);
}

std::unique_ptr<Work> barrier(const ProcessGroup& group) {
  c10d::BarrierOptions options;
  options.timeout = group.parts->timeout;
  return started(group.parts->backend->barrier(options), {});
}

void set_timeout(const ProcessGroup& group, std::uint64_t milliseconds) {
  group.parts->timeout = std::chrono::milliseconds(milliseconds);
  group.parts->store->setTimeout(group.parts->timeout);
}

void wait_for(const Work& work) { work.parts->work->wait(); }

namespace {

template <typename Target, typename Source>
void copy_scaled(void* target, const void* source, double scale, std::int64_t from, std::int64_t to) {
  Target* out = static_cast<Target*>(target);
  const Source* in = static_cast<const Source*>(source);
  const auto factor = static_cast<Target>(scale);
  for (std::int64_t i = from; i < to; ++i) out[i] = static_cast<Target>(in[i]) * factor;
}

using Copy = void (*)(void*, const void*, double, std::int64_t, std::int64_t);

struct Part {
  void* target;
  const void* source;
  std::int64_t end;
  Copy copy;
};

Copy copy_for(at::ScalarType target, at::ScalarType source) {
  if (target == at::kFloat && source == at::kFloat) return copy_scaled<float, float>;
  if (target == at::kDouble && source == at::kDouble) return copy_scaled<double, double>;
  if (target == at::kFloat && source == at::kBFloat16) return copy_scaled<float, at::BFloat16>;
  if (target == at::kFloat && source == at::kHalf) return copy_scaled<float, at::Half>;
  return nullptr;
}

}  // namespace

void copy_all_scaled(rust::Slice<const TensorRef> targets, rust::Slice<const TensorRef> sources,
                     double scale) {
  const at::NoGradGuard no_grad;
  TORCH_CHECK(targets.size() == sources.size(), "There are ", targets.size(), " targets for ",
              sources.size(), " sources.");
  std::vector<Part> parts;
  std::vector<Tensor> onto, from;
  std::int64_t end = 0;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const Tensor& target = *targets[i].tensor;
    const Tensor& source = *sources[i].tensor;
    TORCH_CHECK(target.sizes() == source.sizes(), "A tensor of the shape ", source.sizes(),
                " can't be copied to one of ", target.sizes(), ".");
    if (source.numel() == 0) continue;
    const bool flat = target.is_cpu() && source.is_cpu() && is_dense(target) && is_dense(source) &&
                      same_order(target, source);
    const Copy copy = flat ? copy_for(target.scalar_type(), source.scalar_type()) : nullptr;
    if (copy != nullptr) {
      end += source.numel();
      parts.push_back({target.mutable_data_ptr(), source.const_data_ptr(), end, copy});
      target.unsafeGetTensorImpl()->bump_version();
    } else {
      onto.push_back(target.detach());
      from.push_back(source.detach());
    }
  }
  for_each_stretch(parts, [&](const Part& part, std::int64_t first, std::int64_t last) {
    part.copy(part.target, part.source, scale, first, last);
  });
  if (onto.empty()) return;
  at::_foreach_copy_(onto, from);
  if (scale != 1.0) {
    for (Tensor& target : onto) target.mul_(scale);
  }
}

bool fills_its_memory(const Tensor* tensor) { return is_dense(*tensor); }

bool same_layout(rust::Slice<const TensorRef> some, rust::Slice<const TensorRef> others) {
  if (some.size() != others.size()) return false;
  for (std::size_t i = 0; i < some.size(); ++i) {
    const Tensor& a = *some[i].tensor;
    const Tensor& b = *others[i].tensor;
    if (a.sizes() != b.sizes() || a.strides() != b.strides() || a.device() != b.device()) return false;
  }
  return true;
}

namespace {

// FNV-1a, of 64-bit words.
void take(std::uint64_t& hash, const void* bytes, std::size_t count) {
  for (std::size_t i = 0; i < count; i += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, static_cast<const char*>(bytes) + i, std::min(sizeof word, count - i));
    hash = (hash ^ word) * 0x100000001b3u;
  }
}

}  // namespace

std::uint64_t bits_of(rust::Slice<const TensorRef> tensors, std::uint64_t share, std::uint64_t shares) {
  constexpr std::int64_t block = 1 << 14;  // elements
  const at::NoGradGuard no_grad;
  std::uint64_t hash = 0xcbf29ce484222325u;
  std::uint64_t number = 0;
  for (const TensorRef& ref : tensors) {
    const Tensor& tensor = *ref.tensor;
    const bool in_place = tensor.is_cpu() && is_dense(tensor);
    std::vector<Tensor> elsewhere;
    for (std::int64_t at = 0; at < tensor.numel(); at += block, ++number) {
      if (number % shares != share) continue;
      const std::int64_t count = std::min(block, tensor.numel() - at);
      if (in_place) {
        const std::size_t width = tensor.element_size();
        take(hash, static_cast<const char*>(tensor.const_data_ptr()) + at * width, count * width);
      } else {
        elsewhere.push_back(tensor.detach().reshape({-1}).narrow(0, at, count));
      }
    }
    if (!elsewhere.empty()) {
      const Tensor here = at::cat(elsewhere).cpu();
      take(hash, here.const_data_ptr(), here.nbytes());
    }
  }
  return hash;
}

}  // namespace lookahead
