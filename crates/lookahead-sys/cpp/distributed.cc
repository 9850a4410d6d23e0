// Process groups: c10d's store and Gloo backend, which libtorch contains, and its NCCL backend for tensors on
// GPUs if that is compiled in.

#define USE_C10D_GLOO

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <cstdlib>
#include <utility>

#include "lookahead-sys/src/ffi.rs.h"
#include "lookahead-sys/src/ffi/distributed.rs.h"
#include "nccl_backend.h"
#include "shim.h"

namespace lookahead {

struct ProcessGroup::Parts {
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::Backend> gloo;
  // Null if tensors on GPUs go through Gloo too.
  c10::intrusive_ptr<c10d::Backend> nccl;
  // Of each operation.
  std::chrono::milliseconds timeout;
};

ProcessGroup::ProcessGroup(std::unique_ptr<Parts> made) : parts(std::move(made)) {}
ProcessGroup::~ProcessGroup() = default;

struct Work::Parts {
  c10::intrusive_ptr<c10d::Work> work;
  // The tensors must outlive the operation.
  std::vector<Tensor> tensors;
  // For operations without their own timeout.
  std::chrono::milliseconds timeout;
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

// The backend for tensors like this one.
c10d::Backend& backend_for(const ProcessGroup& group, const Tensor& tensor) {
  const bool by_nccl = tensor.is_cuda() && group.parts->nccl != nullptr;
  return by_nccl ? *group.parts->nccl : *group.parts->gloo;
}

std::unique_ptr<Work> started(const ProcessGroup& group, c10::intrusive_ptr<c10d::Work> work,
                              std::vector<Tensor> tensors) {
  // Gloo's operations have a timeout, and an error that names the rank that did not answer. NCCL's rely on
  // the timeout of the wait.
  const bool on_gpu = !tensors.empty() && tensors[0].is_cuda() && group.parts->nccl != nullptr;
  const auto timeout = on_gpu ? group.parts->timeout : kNoTimeout;
  return std::make_unique<Work>(
      std::make_unique<Work::Parts>(Work::Parts{std::move(work), std::move(tensors), timeout}));
}

// c10d's warnings also arrive as exceptions, from which the user gets one sentence instead of the C++ frames
// in the log. PyTorch's environment variable turns the log on.
void silence_log() {
  if (std::getenv("TORCH_CPP_LOG_LEVEL") == nullptr) FLAGS_caffe2_log_level = c10::GLOG_FATAL;
}

std::shared_ptr<gloo::transport::Device> device_for(const GlooAddress& address) {
  const std::string name(address.name);
  return address.is_interface ? c10d::ProcessGroupGloo::createDeviceForInterface(name)
                              : c10d::ProcessGroupGloo::createDeviceForHostname(name);
}

}  // namespace

void check_device(const GlooAddress& address) { device_for(address); }

std::unique_ptr<ProcessGroup> join_store(const StoreAddress& address) {
  silence_log();
  c10d::TCPStoreOptions options;
  options.port = address.port;
  options.isServer = address.listener >= 0;
  // Ranks report by key instead, so that an absent one can be named.
  options.waitWorkers = false;
  options.timeout = std::chrono::milliseconds(address.timeout);
  if (options.isServer) options.masterListenFd = address.listener;
  auto store = c10::make_intrusive<c10d::TCPStore>(std::string(address.host), options);
  auto prefixed = c10::make_intrusive<c10d::PrefixStore>(std::string(address.prefix), store);
  return std::make_unique<ProcessGroup>(
      std::make_unique<ProcessGroup::Parts>(ProcessGroup::Parts{std::move(prefixed), {}, {}, options.timeout}));
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
  options->devices.push_back(device_for(address));
  group.parts->gloo =
      c10::make_intrusive<c10d::ProcessGroupGloo>(group.parts->store, address.rank, address.size, options);
}

void connect_nccl(ProcessGroup& group) {
  auto& [store, gloo, nccl, timeout] = *group.parts;
  if (nccl != nullptr) return;
  nccl = make_nccl(c10::make_intrusive<c10d::PrefixStore>("nccl", store), gloo->getRank(), gloo->getSize(),
                   timeout);
}

bool uses_nccl(const ProcessGroup& group) { return group.parts->nccl != nullptr; }

void abort_nccl(const ProcessGroup& group) noexcept {
  if (group.parts->nccl == nullptr) return;
  try {
    // Operations in flight would otherwise never end.
    group.parts->nccl->abort();
  } catch (...) {
    // The error that led here is the one to report.
  }
}

void disconnect(const ProcessGroup& group) {
  abort_nccl(group);
  group.parts->nccl.reset();
  group.parts->gloo.reset();
}

void leave_group(ProcessGroup& group) {
  disconnect(group);
  group.parts->store.reset();
}

std::unique_ptr<Work> all_reduce(const ProcessGroup& group, const Tensor& tensor, bool maximum) {
  std::vector<Tensor> tensors{tensor.detach()};
  c10d::AllreduceOptions options;
  options.timeout = group.parts->timeout;
  options.reduceOp = maximum ? c10d::ReduceOp::MAX : c10d::ReduceOp::SUM;
  return started(group, backend_for(group, tensor).allreduce(tensors, options), tensors);
}

std::unique_ptr<Work> broadcast(const ProcessGroup& group, const Tensor& tensor, std::int32_t root) {
  std::vector<Tensor> tensors{tensor.detach()};
  c10d::BroadcastOptions options;
  options.timeout = group.parts->timeout;
  options.rootRank = root;
  return started(group, backend_for(group, tensor).broadcast(tensors, options), tensors);
}

std::unique_ptr<Work> all_gather(const ProcessGroup& group, const Tensor& all, const Tensor& own) {
  Tensor output = all.detach(), input = own.detach();
  c10d::AllgatherOptions options;
  options.timeout = group.parts->timeout;
  return started(group, group.parts->gloo->_allgather_base(output, input, options), {output, input});
}

std::unique_ptr<Work> gather_to_first(const ProcessGroup& group, rust::Slice<const TensorRef> all,
                                      const Tensor& own) {
  std::vector<std::vector<Tensor>> outputs;
  std::vector<Tensor> input{own.detach()}, kept = input;
  if (!all.empty()) {
    outputs.emplace_back();
    for (const TensorRef& ref : all) outputs[0].push_back(ref.tensor->detach());
    kept.insert(kept.end(), outputs[0].begin(), outputs[0].end());
  }
  c10d::GatherOptions options;
  options.timeout = group.parts->timeout;
  options.rootRank = 0;
  return started(group, group.parts->gloo->gather(outputs, input, options), kept);
}

std::unique_ptr<Work> barrier(const ProcessGroup& group) {
  c10d::BarrierOptions options;
  options.timeout = group.parts->timeout;
  return started(group, group.parts->gloo->barrier(options), {});
}

void set_timeout(const ProcessGroup& group, std::uint64_t milliseconds) {
  group.parts->timeout = std::chrono::milliseconds(milliseconds);
  group.parts->store->setTimeout(group.parts->timeout);
}

std::uint64_t timeout_of(const ProcessGroup& group) { return group.parts->timeout.count(); }

void wait_for(const Work& work) { work.parts->work->wait(work.parts->timeout); }

}  // namespace lookahead
