// SPDX-License-Identifier: Apache-2.0
/// @file
/// Random programs of operations over nccl_channel, on the fake NCCL of fake_nccl.hpp, against what
/// must come out; counts that do not fit 31 bits; and that the fake is as strict as NCCL, without
/// which the other tests would say little.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <cuda_runtime_api.h>
#include <nccl.h>
#include <sys/mman.h>

#include <omnibal/comm/nccl_channel.hpp>
#include <omnibal/comm/thread_communicator.hpp>

#include "comm/channel_checks.hpp"
#include "comm/nccl/fake_nccl.hpp"
#include "comm/nccl/fake_ranks.hpp"

namespace {

using channel_checks::element_of;
using channel_checks::elements_of;
using channel_checks::expect;
using channel_checks::sum_of;
using channel_checks::value_of;
using omnibal::nccl_channel;
using omnibal::reduction;
using omnibal::thread_communicator;
using omnibal::view_of;

constexpr auto long_deadline = std::chrono::minutes(2);

void expect_no_violations() {
  std::string violations;
  for (const std::string& each : fake::all.violations) violations += each + "; ";
  expect(violations.empty(), violations);
}

// ---- random programs ----

/// The same program on every rank; operations are checked at its end, when all have ended.
class program {
 public:
  program(nccl_channel& channel, std::uint64_t seed) : channel_(channel), random_(seed) {
    for (cudaStream_t& each : streams_) cudaStreamCreateWithFlags(&each, cudaStreamNonBlocking);
  }
  program(program&&) = delete;
  program& operator=(program&&) = delete;
  ~program() {
    for (cudaStream_t each : streams_) cudaStreamDestroy(each);
  }

  void run(int operations) {
    for (int i = 0; i < operations; ++i) {
      seed_ = random_();
      stream_ = streams_[below(streams_.size())];
      switch (below(4)) {
        case 0: any_operation<float>(); break;
        case 1: any_operation<double>(); break;
        case 2: any_operation<std::int64_t>(); break;
        default: any_operation<omnibal::bf16>();
      }
    }
    for (auto& ticket : tickets_) ticket.wait();
    for (cudaStream_t each : streams_) cudaStreamSynchronize(each);
    for (const auto& check : checks_) check();
  }

 private:
  [[nodiscard]] std::size_t below(std::size_t bound) { return random_() % bound; }

  /// Some are zero, all are zero, all are equal, or one is much.
  [[nodiscard]] std::vector<std::size_t> any_counts() {
    std::vector<std::size_t> counts(channel_.size(), below(50));
    const std::size_t kind = below(4);
    if (kind == 0) counts.assign(channel_.size(), 0);
    if (kind == 1)
      for (std::size_t& count : counts) count = below(2) * below(300);
    if (kind == 2) counts[below(counts.size())] = 5000;
    return counts;
  }

  /// Waited for at once, at the end, by a stream, or not at all.
  void keep(nccl_channel::ticket ticket) {
    const std::size_t kind = below(4);
    if (kind == 0) ticket.wait();
    if (kind == 1) tickets_.push_back(ticket);
    if (kind == 2) ticket.after(streams_[below(streams_.size())]);
  }

  template <typename Element>
  [[nodiscard]] std::shared_ptr<std::vector<Element>> own_elements(std::size_t count) {
    return std::make_shared<std::vector<Element>>(
        elements_of<Element>(seed_, channel_.rank(), count));
  }

  template <typename Element>
  [[nodiscard]] static double reduced(std::uint64_t seed, std::size_t ranks, std::size_t index,
                                      reduction how) {
    double result = value_of(element_of<Element>(seed, 0, index));
    for (std::size_t r = 1; r < ranks; ++r) {
      const double other = value_of(element_of<Element>(seed, r, index));
      result = how == reduction::sum        ? result + other
               : how == reduction::smallest ? std::min(result, other)
                                            : std::max(result, other);
    }
    return result;
  }

  template <typename Element>
  void any_operation() {
    switch (below(6)) {
      case 0: return all_reduce<Element>();
      case 1: return reduce_scatter<Element>();
      case 2: return all_gather<Element>();
      case 3: return broadcast<Element>();
      case 4: return all_to_all<Element>();
      default: return group<Element>();
    }
  }

  template <typename Element>
  void all_reduce() {
    const auto how = static_cast<reduction>(below(3));
    auto values = own_elements<Element>(any_counts()[0]);
    keep(channel_.all_reduce(view_of(*values), how, stream_));
    checks_.push_back([=, this, seed = seed_] {
      for (std::size_t i = 0; i < values->size(); ++i)
        expect(value_of((*values)[i]) == reduced<Element>(seed, channel_.size(), i, how),
               "all_reduce");
    });
  }

  template <typename Element>
  void reduce_scatter() {
    const auto how = static_cast<reduction>(below(3));
    const auto counts = any_counts();
    auto sent = own_elements<Element>(sum_of(counts));
    auto part = std::make_shared<std::vector<Element>>(counts[channel_.rank()]);
    keep(channel_.reduce_scatter(view_of(std::as_const(*sent)), view_of(*part), counts, how,
                                 stream_));
    checks_.push_back([=, this, seed = seed_] {
      const std::size_t first = sum_of(std::span(counts).first(channel_.rank()));
      (void)sent;
      for (std::size_t i = 0; i < part->size(); ++i)
        expect(value_of((*part)[i]) == reduced<Element>(seed, channel_.size(), first + i, how),
               "reduce_scatter");
    });
  }

  template <typename Element>
  void all_gather() {
    const auto counts = any_counts();
    const std::size_t first = sum_of(std::span(counts).first(channel_.rank()));
    const bool in_place = below(2) == 0;
    auto sent = own_elements<Element>(counts[channel_.rank()]);
    auto gathered = std::make_shared<std::vector<Element>>(sum_of(counts));
    std::ranges::copy(*sent, gathered->begin() + static_cast<std::ptrdiff_t>(first));
    const auto own = view_of(std::as_const(*gathered)).part(first, counts[channel_.rank()]);
    keep(channel_.all_gather(in_place ? own : view_of(std::as_const(*sent)), view_of(*gathered),
                             counts, stream_));
    checks_.push_back([=, seed = seed_] {
      std::size_t position = 0;
      (void)sent;
      for (std::size_t r = 0; r < counts.size(); ++r)
        for (std::size_t i = 0; i < counts[r]; ++i)
          expect((*gathered)[position++] == element_of<Element>(seed, r, i), "all_gather");
    });
  }

  template <typename Element>
  void broadcast() {
    const std::size_t root = below(channel_.size());
    auto values = own_elements<Element>(any_counts()[0]);
    keep(channel_.broadcast(view_of(*values), root, stream_));
    checks_.push_back([=, seed = seed_] {
      expect(*values == elements_of<Element>(seed, root, values->size()), "broadcast");
    });
  }

  template <typename Element>
  void all_to_all() {
    std::vector<std::vector<std::size_t>> counts;  // by sender and receiver
    for (std::size_t r = 0; r < channel_.size(); ++r) counts.push_back(any_counts());
    const std::vector<std::size_t> sent_counts = counts[channel_.rank()];
    std::vector<std::size_t> received_counts;
    for (const auto& each : counts) received_counts.push_back(each[channel_.rank()]);
    auto sent = own_elements<Element>(sum_of(sent_counts));
    auto received = std::make_shared<std::vector<Element>>(sum_of(received_counts));
    keep(channel_.all_to_all(view_of(std::as_const(*sent)), sent_counts, view_of(*received),
                             received_counts, stream_));
    checks_.push_back([=, this, seed = seed_] {
      std::size_t position = 0;
      (void)sent;
      for (std::size_t r = 0; r < counts.size(); ++r) {
        const std::size_t first = sum_of(std::span(counts[r]).first(channel_.rank()));
        for (std::size_t i = 0; i < received_counts[r]; ++i)
          expect((*received)[position++] == element_of<Element>(seed, r, first + i), "all_to_all");
      }
    });
  }

  /// Every rank sends to the next ones and receives from those before, in an order of its own.
  template <typename Element>
  void group() {
    const std::size_t size = channel_.size();
    const auto counts = any_counts();  // of messages, by sender
    const std::size_t reach = size == 1 ? 0 : below(size);
    auto sent = own_elements<Element>(counts[channel_.rank()]);
    auto received = std::make_shared<std::vector<std::vector<Element>>>();
    keep(omnibal::in_group(channel_, [&] {
      for (std::size_t step = 1; step <= reach; ++step) {
        const std::size_t from = (channel_.rank() + size - step) % size;
        received->emplace_back(counts[from]);
        if (channel_.rank() % 2 == 0)
          (void)channel_.send(view_of(std::as_const(*sent)), (channel_.rank() + step) % size,
                              stream_);
        (void)channel_.receive(view_of(received->back()), from, stream_);
        if (channel_.rank() % 2 == 1)
          (void)channel_.send(view_of(std::as_const(*sent)), (channel_.rank() + step) % size,
                              stream_);
      }
    }));
    checks_.push_back([=, this, seed = seed_] {
      (void)sent;
      for (std::size_t step = 1; step <= reach; ++step) {
        const std::size_t from = (channel_.rank() + size - step) % size;
        expect((*received)[step - 1] == elements_of<Element>(seed, from, counts[from]), "group");
      }
    });
  }

  nccl_channel& channel_;
  std::mt19937_64 random_;
  std::uint64_t seed_ = 0;
  cudaStream_t stream_ = nullptr;
  std::array<cudaStream_t, 3> streams_ = {};
  std::vector<nccl_channel::ticket> tickets_;
  std::vector<std::function<void()>> checks_;
};

void check_random_programs() {
  const char* wanted = std::getenv("OMNIBAL_PROGRAMS");
  const std::uint64_t programs = wanted == nullptr ? 40 : std::strtoull(wanted, nullptr, 10);
  for (std::uint64_t seed = 1; seed <= programs; ++seed) {
    fake::all.reset();
    fake::all.polls_in_progress = static_cast<int>(seed % 4);
    on_ranks(1 + seed % 5, [&](thread_communicator& ranks) {
      nccl_channel channel(omnibal::exchange_nccl_id(ranks), ranks.rank(), ranks.size(),
                           {.deadline = long_deadline});
      program(channel, seed).run(25);
    });
    expect_no_violations();
    expect(fake::all.aborted == 0, "not aborted");
  }
}

// ---- counts that do not fit 31 bits ----

/// Address space of which no byte is touched.
struct address_space {
  explicit address_space(std::size_t size) : bytes(size) {
    void* mapped =
        mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    expect(mapped != MAP_FAILED, "address space");
    memory = static_cast<std::byte*>(mapped);
  }
  address_space(address_space&&) = delete;
  address_space& operator=(address_space&&) = delete;
  ~address_space() { munmap(memory, bytes); }

  [[nodiscard]] omnibal::tensor_view view(std::size_t count) const {
    expect(count * sizeof(double) <= bytes, "enough address space");
    return {memory, count, omnibal::element_type::f64};
  }
  [[nodiscard]] std::size_t offset(const std::byte* place) const {
    return static_cast<std::size_t>(place - memory) / sizeof(double);
  }

  std::size_t bytes;
  std::byte* memory = nullptr;
};

/// What NCCL is given has whole counts and begins where it has to.
void check_counts_beyond_31_bits() {
  fake::all.reset();
  fake::all.moves_bytes = false;
  constexpr std::size_t much = (std::size_t{1} << 31U) + 7;
  const std::vector<std::size_t> counts = {much, 3, much + 1};
  const std::size_t total = sum_of(counts);
  on_ranks(3, [&](thread_communicator& ranks) {
    const std::size_t rank = ranks.rank();
    const address_space sent(total * sizeof(double));
    const address_space received(total * sizeof(double));
    nccl_channel channel(omnibal::exchange_nccl_id(ranks), rank, 3, {.deadline = long_deadline});
    const auto calls = [&](auto call) {
      omnibal::barrier(ranks);
      if (rank == 0) fake::all.log.clear();
      omnibal::barrier(ranks);
      call();
      omnibal::barrier(ranks);
      std::vector<fake::primitive> own;
      for (const fake::primitive& each : fake::all.log)
        if ((each.sent >= sent.memory && each.sent < sent.memory + sent.bytes) ||
            (each.received >= received.memory && each.received < received.memory + received.bytes))
          own.push_back(each);
      return own;
    };
    const auto all_gathered = calls([&] {
      channel.all_gather(sent.view(counts[rank]), received.view(total), counts, nullptr).wait();
    });
    expect(all_gathered.size() == 4, "two sends and two receives");
    for (const fake::primitive& each : all_gathered) {
      const auto peer = static_cast<std::size_t>(each.peer);
      const bool sends = each.what == fake::kind::send;
      expect(each.count == counts[sends ? rank : peer], "whole counts of an all_gather");
      if (!sends)
        expect(received.offset(each.received) == sum_of(std::span(counts).first(peer)), "offset");
    }
    const auto reduced = calls([&] {
      channel
          .reduce_scatter(sent.view(total), received.view(counts[rank]), counts, reduction::sum,
                          nullptr)
          .wait();
    });
    expect(reduced.size() == 3, "one reduction per rank");
    for (const fake::primitive& each : reduced) {
      const auto root = static_cast<std::size_t>(each.peer);
      expect(each.count == counts[root], "whole counts of a reduce_scatter");
      expect(sent.offset(each.sent) == sum_of(std::span(counts).first(root)), "offset");
    }
    // Rank r sends counts[r] to everybody.
    const std::vector<std::size_t> sent_counts(3, rank == 1 ? 3 : much / 3);
    const std::vector<std::size_t> received_counts = {much / 3, 3, much / 3};
    const auto exchanged = calls([&] {
      channel
          .all_to_all(sent.view(sum_of(sent_counts)), sent_counts,
                      received.view(sum_of(received_counts)), received_counts, nullptr)
          .wait();
    });
    expect(exchanged.size() == 4, "two sends and two receives");
    const auto summed =
        calls([&] { channel.all_reduce(sent.view(much), reduction::sum, nullptr).wait(); });
    expect(summed.size() == 1 && summed[0].count == much, "whole counts of an all_reduce");
    const auto spread = calls([&] { channel.broadcast(sent.view(much), 2, nullptr).wait(); });
    expect(spread.size() == 1 && spread[0].count == much, "whole counts of a broadcast");
    const auto log = channel.log();
    expect(log.entries[3].count == much && log.entries[3].bytes == 8 * much, "whole counts noted");
  });
  expect_no_violations();
}

/// Equal counts are one operation of NCCL, not messages.
void check_equal_counts() {
  fake::all.reset();
  on_ranks(3, [&](thread_communicator& ranks) {
    nccl_channel channel(omnibal::exchange_nccl_id(ranks), ranks.rank(), 3,
                         {.deadline = long_deadline});
    std::vector<float> part(4, 1.0F);
    std::vector<float> whole(12);
    const std::vector<std::size_t> counts(3, 4);
    channel.all_gather(view_of(std::as_const(part)), view_of(whole), counts, nullptr).wait();
    channel
        .reduce_scatter(view_of(std::as_const(whole)), view_of(part), counts, reduction::sum,
                        nullptr)
        .wait();
    expect(part == std::vector<float>(4, 3.0F), "all_gather, then reduce_scatter");
  });
  for (const fake::primitive& each : fake::all.log)
    expect(each.what == fake::kind::all_gather || each.what == fake::kind::reduce_scatter,
           "one operation");
}

// ---- the fake itself ----

struct bare_rank {
  ncclComm_t comm = nullptr;
  cudaStream_t stream = nullptr;

  void settle() const {
    for (ncclResult_t state = ncclInProgress; state == ncclInProgress;)
      (void)ncclCommGetAsyncError(comm, &state);
  }
  [[nodiscard]] bool ends() const { return cudaStreamQuery(stream) == cudaSuccess; }
};

/// Two ranks, driven by one thread.
std::array<bare_rank, 2> two_ranks() {
  fake::all.reset();
  ncclUniqueId id{};
  (void)ncclGetUniqueId(&id);
  std::array<bare_rank, 2> ranks;
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  for (int r = 0; r < 2; ++r) {
    fake::here.device = r;
    (void)ncclCommInitRankConfig(&ranks[static_cast<std::size_t>(r)].comm, 2, id, r, &config);
    (void)cudaStreamCreateWithFlags(&ranks[static_cast<std::size_t>(r)].stream, 0);
  }
  for (const bare_rank& each : ranks) each.settle();
  return ranks;
}

void end(const std::array<bare_rank, 2>& ranks) {
  for (const bare_rank& each : ranks) (void)ncclCommAbort(each.comm);
  for (const bare_rank& each : ranks) (void)cudaStreamDestroy(each.stream);
  fake::here = {};
}

/// Calls on rank 0 and on rank 1; whether both end.
bool both_end(const std::function<void(const bare_rank&)>& first,
              const std::function<void(const bare_rank&)>& second) {
  const auto ranks = two_ranks();
  fake::here.device = 0;
  first(ranks[0]);
  fake::here.device = 1;
  second(ranks[1]);
  fake::here.device = 0;
  const bool zero = ranks[0].ends();
  fake::here.device = 1;
  const bool one = ranks[1].ends();
  expect(zero == one, "both ends of what these ranks call");
  expect_no_violations();
  end(ranks);
  return zero;
}

void check_that_the_fake_is_strict() {
  std::vector<float> values(8);
  const auto send = [&](std::size_t count, int to) {
    return [&values, count, to](const bare_rank& rank) {
      (void)ncclSend(values.data(), count, ncclFloat32, to, rank.comm, rank.stream);
      if (fake::here.group_depth == 0) rank.settle();
    };
  };
  const auto receive = [&](std::size_t count, int from) {
    return [&values, count, from](const bare_rank& rank) {
      (void)ncclRecv(values.data(), count, ncclFloat32, from, rank.comm, rank.stream);
      if (fake::here.group_depth == 0) rank.settle();
    };
  };
  const auto sum = [&](std::size_t count, ncclDataType_t type) {
    return [&values, count, type](const bare_rank& rank) {
      (void)ncclAllReduce(values.data(), values.data(), count, type, ncclSum, rank.comm,
                          rank.stream);
      rank.settle();
    };
  };
  const auto both = [](auto first, auto second, bool grouped) {
    return [=](const bare_rank& rank) {
      if (grouped) (void)ncclGroupStart();
      first(rank);
      second(rank);
      if (grouped) (void)ncclGroupEnd();
      rank.settle();
    };
  };
  expect(both_end(send(4, 1), receive(4, 0)), "a message");
  expect(!both_end(send(4, 1), receive(5, 0)), "a message of two sizes");
  expect(both_end(sum(4, ncclFloat32), sum(4, ncclFloat32)), "a sum");
  expect(!both_end(sum(4, ncclFloat32), sum(5, ncclFloat32)), "a sum of two sizes");
  expect(!both_end(sum(2, ncclFloat64), sum(2, ncclFloat32)), "a sum of two types");
  for (const bool grouped : {false, true})
    expect(both_end(both(send(4, 1), receive(4, 1), grouped),
                    both(send(4, 0), receive(4, 0), grouped)) == grouped,
           "both send first");
  expect(both_end(both(send(4, 1), receive(4, 1), false), both(receive(4, 0), send(4, 0), false)),
         "in an order that fits");

  const auto expect_violation = [](auto action) {
    const auto ranks = two_ranks();
    fake::here.device = 0;
    action(ranks[0]);
    expect(!fake::all.violations.empty(), "NCCL does not allow that");
    end(ranks);
  };
  expect_violation([&](const bare_rank& rank) {
    (void)ncclSend(values.data(), 1, ncclFloat32, 1, rank.comm, rank.stream);
    (void)ncclSend(values.data(), 1, ncclFloat32, 1, rank.comm, rank.stream);
  });
  expect_violation([&](const bare_rank& rank) {
    (void)ncclCommRevoke(rank.comm, 0);
    (void)ncclCommFinalize(rank.comm);
  });
  expect_violation([&](const bare_rank&) { (void)ncclGroupEnd(); });

  // Work is on its stream when the call has ended, and not before.
  const auto ranks = two_ranks();
  fake::here.device = 0;
  (void)ncclSend(values.data(), 1, ncclFloat32, 1, ranks[0].comm, ranks[0].stream);
  expect(ranks[0].ends(), "the send is not there yet");
  ranks[0].settle();
  expect(!ranks[0].ends(), "the send waits");
  end(ranks);
}

}  // namespace

int main(int count, char** arguments) {
  return collective_checks::status_of(count, arguments,
                                      {
                                          {"the fake is strict", check_that_the_fake_is_strict},
                                          {"random programs", check_random_programs},
                                          {"counts beyond 31 bits", check_counts_beyond_31_bits},
                                          {"equal counts", check_equal_counts},
                                      });
}
