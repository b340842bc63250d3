// SPDX-License-Identifier: Apache-2.0
// A training loop that soak.py interrupts: steps of an epoch_iterator are pushed into a
// streaming_packer, whose packs, in place of training, are written into a journal. Checkpoints of
// both follow every few steps; a run goes on from the last one, on any number of ranks that divides
// 12, and the journal of a run is the same however often it was interrupted.
//
// usage: epoch_loop FOLDER RANKS SEED [--allocations]
//
// SEED chooses the steps before which checkpoints are written and, with --allocations, the calls of
// the library that run out of memory and are made again. Exit status: 0 done, 2 a checkpoint that
// is refused, 4 a file that cannot be written, 71 out of memory.
#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <new>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <omnibal/core.hpp>
#include <omnibal/dataset.hpp>
#include <omnibal/dispatch.hpp>
#include <omnibal/packing.hpp>

#include "../faults/failing_allocations.hpp"

namespace {

using sample_loads = std::array<int, 2>;
using packer_state = omnibal::streaming_state<2>;

constexpr std::uint32_t epochs = 3;
constexpr std::uint32_t packs_in_step = 12;
constexpr std::string_view mark = "soakloop";

struct write_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

std::vector<sample_loads> make_samples() {
  std::vector<sample_loads> samples;
  for (int i = 0; i < 900; ++i) samples.push_back({1 + i % 5, 300 + 256 * (i % 5) + i % 97});
  return samples;
}

/// The packs and the plan of an epoch; its steps are those of every number of ranks.
omnibal::epoch_plan plan_epoch(const std::vector<sample_loads>& samples, std::uint32_t ranks,
                               std::uint64_t epoch) {
  auto packs =
      omnibal::pack_balanced(samples, {.capacity = {12, 4096}, .seed = 1, .epoch = epoch}).packs;
  const auto loads = omnibal::pack_loads(packs, samples);
  auto plan = omnibal::dispatch_packs(
      loads.size(), [&](std::size_t k) { return 300 * loads[k][0] + loads[k][1]; },
      {.ranks = ranks, .microbatches = packs_in_step / ranks, .seed = 1, .epoch = epoch});
  return {.packs = std::move(packs), .plan = std::move(plan)};
}

// ---- files --------------------------------------------------------------------------------------

class output_file {
 public:
  output_file(const std::string& path, int flags)
      : path_(path), file_(::open(path.c_str(), flags | O_WRONLY | O_CREAT | O_CLOEXEC, 0666)) {
    if (file_ < 0) fail();
  }
  output_file(const output_file&) = delete;
  output_file& operator=(const output_file&) = delete;
  ~output_file() { ::close(file_); }

  void truncate(std::uint64_t size) const {
    if (::ftruncate(file_, static_cast<off_t>(size)) != 0) fail();
  }
  void write(std::span<const std::byte> bytes) const { write_at(0, bytes); }
  void write_at(std::uint64_t place, std::span<const std::byte> bytes) const {
    if (::lseek(file_, static_cast<off_t>(place), SEEK_SET) < 0) fail();
    while (!bytes.empty()) {
      const ssize_t done = ::write(file_, bytes.data(), bytes.size());
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) fail();
      bytes = bytes.subspan(static_cast<std::size_t>(done));
    }
  }
  void synchronize() const {
    if (::fsync(file_) != 0) fail();
  }

 private:
  [[noreturn]] void fail() const { throw write_error(path_ + ": " + std::strerror(errno)); }

  std::string path_;
  int file_;
};

void replace_file(const std::string& path, std::span<const std::byte> bytes) {
  const std::string part = path + ".part";
  {
    const output_file file(part, O_TRUNC);
    file.write(bytes);
    file.synchronize();
  }
  if (std::rename(part.c_str(), path.c_str()) != 0)
    throw write_error(path + ": " + std::strerror(errno));
}

/// The bytes of a file; none where there is no such file.
std::vector<std::byte> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

// ---- checkpoints --------------------------------------------------------------------------------

struct checkpoint {
  std::vector<std::byte> position = {};  ///< of the epoch_iterator
  packer_state packer = {};
  std::uint64_t journal_size = 0;
};

void add_bytes(omnibal::byte_writer& to, const std::vector<std::byte>& bytes) {
  to.add(std::uint64_t{bytes.size()});
  for (const std::byte byte : bytes) to.add(std::to_integer<std::uint8_t>(byte));
}

std::vector<std::byte> read_bytes(omnibal::byte_reader& from) {
  std::vector<std::byte> bytes;
  for (const std::uint8_t byte : from.read_list<std::uint8_t>()) bytes.push_back(std::byte{byte});
  return bytes;
}

std::vector<std::byte> to_bytes(const checkpoint& saved) {
  omnibal::byte_writer to(mark, packer_state::current_version);
  add_bytes(to, saved.position);
  to.add(saved.journal_size);
  const packer_state& state = saved.packer;
  for (const auto load : state.capacity) to.add(static_cast<std::uint64_t>(load));
  to.add(state.buffer);
  for (const auto number : {state.pushed, state.packed, state.packs, state.skipped}) to.add(number);
  to.add(std::span<const std::uint64_t>(state.oversize));
  to.add(std::uint64_t{state.ready.size()});
  for (const auto& pack : state.ready) to.add(std::span<const std::uint64_t>(pack));
  to.add(std::uint64_t{state.buffered.size()});
  for (const auto& sample : state.buffered) {
    to.add(sample.id);
    to.add(sample.arrival);
    for (const auto load : sample.load) to.add(static_cast<std::uint64_t>(load));
  }
  for (const std::uint32_t resource : state.plane) to.add(resource);
  to.add(std::span<const std::uint32_t>(state.seen));
  for (const std::uint64_t volume : state.volume) to.add(volume);
  return to.finish();
}

checkpoint checkpoint_from_bytes(std::span<const std::byte> bytes) {
  omnibal::byte_reader from("checkpoint", bytes, mark, packer_state::current_version);
  checkpoint saved{.position = read_bytes(from)};
  saved.journal_size = from.read<std::uint64_t>();
  packer_state& state = saved.packer;
  const auto read_loads = [&] {
    omnibal::loads<2> loads = {};
    for (auto& load : loads)
      load = static_cast<std::remove_reference_t<decltype(load)>>(from.read<std::uint64_t>());
    return loads;
  };
  state.capacity = read_loads();
  state.buffer = from.read<std::uint32_t>();
  for (auto* const number : {&state.pushed, &state.packed, &state.packs, &state.skipped})
    *number = from.read<std::uint64_t>();
  state.oversize = from.read_list<std::uint64_t>();
  for (auto packs = from.read<std::uint64_t>(); packs > 0; --packs)
    state.ready.push_back(from.read_list<std::uint64_t>());
  for (auto samples = from.read<std::uint64_t>(); samples > 0; --samples) {
    const auto id = from.read<std::uint64_t>();
    const auto arrival = from.read<std::uint64_t>();
    state.buffered.push_back({.id = id, .arrival = arrival, .load = read_loads()});
  }
  for (std::uint32_t& resource : state.plane) resource = from.read<std::uint32_t>();
  state.seen = from.read_list<std::uint32_t>();
  for (std::uint64_t& volume : state.volume) volume = from.read<std::uint64_t>();
  from.expect_end();
  return saved;
}

// ---- the loop -----------------------------------------------------------------------------------

/// Makes calls of the library, of which some run out of memory and are made again.
class caller {
 public:
  caller(std::uint64_t seed, bool fails) : draw_(seed), fails_(fails) {}

  template <typename Call>
  void operator()(const Call& call) {
    const bool may_fail = fails_ && draw_() % 4 == 0;
    if (may_fail && !omnibal::test::fails_at(draw_() % 40, call)) return;
    failures_ += may_fail ? 1 : 0;
    call();
  }

  [[nodiscard]] std::uint64_t draw() { return draw_(); }
  [[nodiscard]] std::uint64_t failures() const { return failures_; }

 private:
  std::mt19937_64 draw_;
  bool fails_;
  std::uint64_t failures_ = 0;
};

template <typename Run>
class training_loop {
 public:
  training_loop(Run& run, const std::vector<sample_loads>& samples, std::string folder,
                caller& calls)
      : run_(run),
        samples_(samples),
        checkpoint_(folder + "/checkpoint"),
        journal_(folder + "/journal", 0),
        calls_(calls) {
    const std::vector<std::byte> bytes = read_file(checkpoint_);
    if (!bytes.empty()) restore(checkpoint_from_bytes(bytes));
    journal_.truncate(journal_size_);
  }

  void operator()() {
    for (; !run_.done(); calls_([&] { run_.advance(); })) {
      if (calls_.draw() % 4 == 0) save();
      push_step();
    }
    calls_([&] { packer_.flush(); });
    train();
    save();
  }

 private:
  void restore(const checkpoint& saved) {
    const omnibal::epoch_state state = omnibal::epoch_state_from_bytes(saved.position);
    calls_([&] { run_.restore(state); });
    calls_([&] { packer_ = omnibal::streaming_packer<2>(options, method, saved.packer); });
    journal_size_ = saved.journal_size;
  }

  void push_step() {
    std::vector<std::uint32_t> step;
    for (std::uint32_t rank = 0; rank < run_.plan().ranks; ++rank)
      for (const auto microbatch : run_.samples(rank))
        step.insert(step.end(), microbatch.begin(), microbatch.end());
    std::ranges::sort(step);
    for (const std::uint32_t sample : step) {
      const std::uint64_t id = run_.epoch() * samples_.size() + sample;
      calls_([&] { packer_.push(id, samples_[sample]); });
      train();
    }
  }

  void train() {
    while (const auto pack = packer_.pop()) {
      for (const std::uint64_t id : *pack) trained_ += std::to_string(id) + ' ';
      trained_ += '\n';
    }
  }

  // The checkpoint counts what is in the journal, which is on disk before it.
  void save() {
    write_journal();
    checkpoint now{.journal_size = journal_size_};
    calls_([&] { now.position = omnibal::to_bytes(run_.state()); });
    calls_([&] { now.packer = packer_.state(); });
    replace_file(checkpoint_, to_bytes(now));
  }

  void write_journal() {
    journal_.write_at(journal_size_, std::as_bytes(std::span(trained_)));
    journal_.synchronize();
    journal_size_ += trained_.size();
    trained_.clear();
  }

  static inline const omnibal::packing_options<2> options{.capacity = {10, 4000}};
  static inline const omnibal::packers::streaming method{.buffer = 100};

  Run& run_;
  const std::vector<sample_loads>& samples_;
  std::string checkpoint_;
  output_file journal_;
  caller& calls_;
  omnibal::streaming_packer<2> packer_{options, method};
  std::uint64_t journal_size_ = 0;
  std::string trained_;  // not in the journal yet
};

void train(const std::string& folder, std::uint32_t ranks, std::uint64_t seed, bool allocations) {
  const std::vector<sample_loads> samples = make_samples();
  const auto plan_for = [&](std::uint64_t epoch) { return plan_epoch(samples, ranks, epoch); };
  omnibal::epoch_iterator run(plan_for,
                              {.epochs = epochs, .inputs = omnibal::table_fingerprint(samples)});
  caller calls(seed, allocations);
  training_loop(run, samples, folder, calls)();
  std::printf("%llu\n", static_cast<unsigned long long>(calls.failures()));
}

int fail(int status, const char* message) {
  std::fprintf(stderr, "epoch_loop: %s\n", message);
  return status;
}

}  // namespace

int main(int argc, char** argv) try {
  std::signal(SIGXFSZ,
              SIG_IGN);  // a file over its limit cannot be written, like one on a full disk
  if (argc < 4) return fail(2, "usage: epoch_loop FOLDER RANKS SEED [--allocations]");
  train(argv[1], static_cast<std::uint32_t>(std::stoul(argv[2])), std::stoull(argv[3]), argc > 4);
  return 0;
} catch (const omnibal::invalid_input& error) {
  return fail(2, error.what());
} catch (const write_error& error) {
  return fail(4, error.what());
} catch (const std::bad_alloc&) {
  return fail(71, "out of memory");
}
