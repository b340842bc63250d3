# SPDX-License-Identifier: Apache-2.0
"""Faults put back on purpose, grouped by the promise of docs/reliability.md that they break.

Each is a replacement of an anchor, a text that occurs exactly once in its file, and names the one test
case that must fail with it. The files are headers and bodies under include/; tests are built header-only
against a changed copy of them, so a fault in impl/ is seen as well. docs/reliability.md names the
promises; mutants.py runs the catalogue.
"""
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    name: str      # unique
    file: str      # below include/omnibal
    anchor: str    # occurs once in the file
    fault: str     # in its place
    test: str      # source of the test below tests, without _test.cpp
    case: str      # the case that must fail


NAMES = """\
  std::array<std::string, Resources> names;

  pack_limits(const loads<Resources>& of, oversize_policy policy,
              const resource_names<Resources>& named)
      : capacity(of), oversize(policy) {
    for (std::size_t r = 0; r < Resources; ++r) names[r] = named[r];
  }

  [[nodiscard]] std::string name(std::size_t resource) const {
    return names[resource].empty() ? "resource " + std::to_string(resource) : names[resource];"""

PROMISES = {
    "no sample is lost": [
        Mutant("last sample of a slice dropped", "packing/detail/pack_limits.hpp",
               "for (std::uint32_t id = slice.begin; id < slice.end; ++id, ++position) {",
               "for (std::uint32_t id = slice.begin; id + 1 < slice.end; ++id, ++position) {",
               "packing/packers", "packers put every sample into one pack within capacity*"),
        Mutant("oversize samples forgotten", "packing/detail/pack_limits.hpp",
               "      oversize.push_back(id);", "",
               "packing/packers", "packers list what they skip (defect 2)*"),
        Mutant("flush leaves the last sample", "packing/streaming.hpp",
               "    while (!samples_.empty()) make_packs();",
               "    while (samples_.size() > 1) make_packs();",
               "packing/streaming", "the streaming packer keeps its promises on random streams"),
        Mutant("age limit off by one", "packing/streaming.hpp",
               "oldest_age() >= age_limit_", "oldest_age() > age_limit_",
               "packing/streaming", "the streaming packer keeps its promises on random streams"),
        Mutant("last step dropped in silence", "dispatch/impl/dispatch.ipp",
               "    dropped_.assign(order_.begin() + static_cast<std::ptrdiff_t>(full), order_.end());", "",
               "dispatch/dispatch", "dispatch_packs puts every pack in exactly one place"),
        Mutant("repeated packs marked as real", "dispatch/impl/dispatch.ipp",
               "first + pack.place < costs.size() ? 1 : 0",
               "first + pack.place <= costs.size() ? 1 : 0",
               "dispatch/dispatch", "dispatch_packs fills the last step with marked repetitions where asked to"),
        Mutant("row of another table", "dataset/impl/table_index.ipp",
               "std::upper_bound(ends_.begin(), ends_.end(), sample)",
               "std::lower_bound(ends_.begin(), ends_.end(), sample)",
               "dataset/table_index", "table_index reaches every row of every table (defect 4)"),
    ],
    "no pack exceeds its capacity": [
        Mutant("capacity plus one", "packing/detail/pack_limits.hpp",
               "fits &= sample[r] <= static_cast<std::uint64_t>(capacity[r]);",
               "fits &= sample[r] <= static_cast<std::uint64_t>(capacity[r]) + 1;",
               "packing/packers", "packers refuse samples over capacity by name (defect 2)*"),
        Mutant("a full sample does not fit", "packing/detail/pack_limits.hpp",
               "fits &= sample[r] <= static_cast<std::uint64_t>(capacity[r]);",
               "fits &= sample[r] < static_cast<std::uint64_t>(capacity[r]);",
               "packing/packers", "packers take the largest loads and capacities*"),
        Mutant("stream ignores what is in the pack", "packing/streaming.hpp",
               "return !sums_.exceeds(sums_.add(pack.sum, samples_[slot].load));",
               "return pack.first + 3 > taken_.size() || !sums_.exceeds(sums_.add(pack.sum, samples_[slot].load));",
               "packing/streaming", "the streaming packer keeps its promises on random streams"),
    ],
    "bounds are proven": [
        Mutant("bound rounded up twice", "packing/dual_bound.hpp",
               "return static_cast<std::uint64_t>((value + unit - 1) / unit);",
               "return static_cast<std::uint64_t>((value + unit - 1) / unit + (value > 0 ? 1 : 0));",
               "packing/bound", "bound_packs never exceeds the least number of packs"),
        Mutant("bound forgets the halved resource", "packing/bound.hpp",
               "if (!halved || least[*halved] <= capacity[*halved] - least[*halved])",
               "if (!halved || least[*halved] < capacity[*halved] / 4)",
               "packing/bound", "bound_packs never exceeds the least number of packs"),
        Mutant("no room for what just fits", "planner/detail/shared_memory_bound.hpp",
               "before.back() > room", "before.back() >= room",
               "planner/shared_memory_bound",
               "Partitions are excluded from one byte below what all devices need together"),
        Mutant("tied layers counted on every device", "planner/detail/shared_memory_bound.hpp",
               "    count_ties_once();\n", "",
               "planner/shared_memory_bound",
               "Partitions of shared devices are excluded only where none fits, and mostly there"),
        Mutant("a stopped search called a proof", "planner/detail/interleaved_search.hpp",
               "    result.why.proven = proven;\n", "",
               "planner/plan_jointly",
               "A search over shared devices ended by its count proves no lack of memory"),
    ],
    "plans fit the memory": [
        Mutant("transient bytes ignored", "pipeline/memory.hpp",
               "peak.bytes = std::max(peak.bytes, allocated + bytes.transient);",
               "peak.bytes = std::max(peak.bytes, allocated);",
               "pipeline/memory", "The worst moments give the peak of every schedule, whatever its stages hold"),
        Mutant("in flight off by one", "pipeline/memory.hpp",
               "if (!splits_backward) --in_flight;", "if (!splits_backward && in_flight > 1) --in_flight;",
               "pipeline/schedule", "In-flight micro-batches follow from the order"),
        Mutant("activations released before W", "pipeline/memory.hpp",
               "allocated -= bytes.saved - (splits_backward ? bytes.saved_for_weight_gradient : 0);",
               "allocated -= bytes.saved;",
               "pipeline/memory", "The worst moments give the peak of every schedule, whatever its stages hold"),
        Mutant("what B keeps until W forgotten", "pipeline/impl/memory.ipp",
               "        frontier.add(now);\n        --now.waiting[chunk];", "        --now.waiting[chunk];",
               "pipeline/memory", "The worst moments give the peak of every schedule, whatever its stages hold"),
        Mutant("knapsack over its transient cap", "recompute/impl/exact.ipp",
               "if (modes[m].transient_bytes <= cap) pareto.push_back(m);",
               "if (modes[m].transient_bytes <= cap + 1) pareto.push_back(m);",
               "recompute/recompute", "Random stages agree with enumeration, with small and byte-scale values"),
    ],
    "a run resumes exactly": [
        Mutant("restored one step late", "dispatch/epoch.hpp",
               "    restored.step = state.step;", "    restored.step = state.step + 1;",
               "dispatch/epoch", "a run stopped anywhere goes on exactly where it stopped"),
        Mutant("refused after the move", "dispatch/epoch.hpp",
               "    check_state(state, restored);", "    at_ = restored;\n    check_state(state, restored);",
               "dispatch/epoch", "a state is refused where the run differs, and the field is named"),
        Mutant("packs not in the fingerprint", "dispatch/impl/epoch.ipp",
               "return plan_hash(step_fingerprint(epoch.plan), epoch.packs);",
               "return plan_hash(step_fingerprint(epoch.plan));",
               "dispatch/epoch", "a state is refused for the same plan over other packs"),
        Mutant("plan not in the fingerprint", "dispatch/impl/epoch.ipp",
               "return plan_hash(step_fingerprint(epoch.plan), epoch.packs);",
               "return plan_hash(epoch.packs);",
               "dispatch/epoch", "a state is refused for another plan of the same packs"),
        Mutant("checksum not checked", "core/byte_stream.hpp",
               "    if (written != hash.value())", "    if (false && written != hash.value())",
               "core/byte_stream", "bytes that were changed anywhere or cut anywhere are refused"),
        Mutant("rest of the bytes ignored", "core/byte_stream.hpp",
               "if (at_ + checksum_size != bytes_.size())", "if (at_ + checksum_size > bytes_.size())",
               "core/byte_stream",
               "bytes with too little or too much in them are refused though their checksum holds"),
        Mutant("plan of other inputs read", "dispatch/impl/serialize.ipp",
               "made_for != inputs)", "made_for > inputs && false)",
               "dispatch/serialize", "a dispatch plan read back against other inputs is refused"),
    ],
    "a call that throws changes nothing": [
        Mutant("samples taken are not put back", "packing/streaming.hpp",
               "  else\n    put_back(0);", "",
               "faults/allocation", "a push or flush without memory loses no sample and changes nothing"),
        Mutant("packs made are not removed", "packing/streaming.hpp",
               "  ready_.remove_newest(static_cast<std::size_t>(total().packs - before.total.packs));", "",
               "faults/allocation", "a push or flush without memory loses no sample and changes nothing"),
        Mutant("halved statistics are not restored", "packing/streaming.hpp",
               "  if (values_.halves_next()) before.values = values_;", "",
               "faults/allocation", "a push without memory changes nothing when statistics are halved"),
        Mutant("the grid is not restored", "packing/streaming.hpp",
               "  before.samples = samples_;\n", "",
               "faults/allocation", "a push or flush without memory loses no sample and changes nothing"),
        Mutant("half a group appended", "core/grouping.hpp",
               "      indices_.resize(before);\n      throw;", "      throw;",
               "faults/allocation", "a group is appended whole or not at all"),
        Mutant("half a list written", "core/byte_stream.hpp",
               "      bytes_.resize(before);\n", "",
               "faults/allocation", "a byte writer without memory has written nothing"),
    ],
    "objects own what they keep": [
        Mutant("moved-from packers count on", "packing/streaming.hpp",
               "  emptied_when_moved<totals> total_;",
               "  struct kept_when_moved {\n    totals now;\n    totals& value() noexcept { return now; }\n"
               "    const totals& value() const noexcept { return now; }\n"
               "    kept_when_moved& operator=(const totals& to) noexcept {\n      now = to;\n      return *this;\n    }\n  };\n"
               "  kept_when_moved total_;",
               "faults/allocation", "a packer that was moved from is a new one"),
        Mutant("moved-from groupings have no offset", "core/grouping.hpp",
               "    return offsets_.empty() ? std::span<const std::uint64_t>(no_groups) : offsets_;",
               "    return offsets_;",
               "faults/allocation", "groupings and table indices that were moved from are empty"),
        Mutant("names of the caller kept", "packing/detail/pack_limits.hpp",
               NAMES, NAMES.replace("std::array<std::string, Resources>", "resource_names<Resources>")
               .replace(": names[resource];", ": std::string(names[resource]);"),
               "faults/allocation", "a packer owns the names of its resources"),
    ],
    "threads and deadlines are bounded": [
        Mutant("as many threads as asked for", "core/parallel.hpp",
               "std::min(wanted, hardware)", "wanted",
               "core/parallel", "there are at most as many threads as the hardware has"),
        Mutant("a refused thread is an error", "core/parallel.hpp",
               "  } catch (const std::system_error&) {\n", "",
               "faults/thread_limit", "parts for which the system grants no thread run on the calling one"),
        Mutant("parts without a thread left out", "core/parallel.hpp",
               "    run_part(0);\n    run_others();", "    run_part(0);",
               "faults/thread_limit", "parts for which the system grants no thread run on the calling one"),
        Mutant("deadlines overflow", "core/deadline.hpp",
               "return wait < left ? now + wait : time_point::max();", "return now + wait;",
               "core/deadline", "a deadline is never earlier than now, however long the wait"),
        Mutant("negative waits accepted", "core/deadline.hpp",
               "if (wait < std::chrono::milliseconds::zero())", "if (wait < std::chrono::milliseconds::min())",
               "core/deadline", "negative waiting times are refused"),
    ],
    "ranks never diverge in silence": [
        Mutant("a file of another run taken", "comm/impl/meeting_file.ipp",
               "      if (line == meeting_.rank && found != own) return std::nullopt;\n", "",
               "comm/meeting_file", "a file and tickets of an earlier run are not taken for those of this one"),
        Mutant("last rank not compared", "comm/impl/agreement.ipp",
               "for (std::size_t r = 0; r < hashes.size(); ++r)\n    if (hashes[r]",
               "for (std::size_t r = 0; r + 1 < hashes.size(); ++r)\n    if (hashes[r]",
               "comm/agreement", "a rank with another plan is an error on every rank"),
    ],
    "no rank waits for ever": [
        Mutant("equal times in no order of the graph", "pipeline/impl/message_order.ipp",
               "    return std::tuple(left.time, left.position, left.is_message()) <\n"
               "           std::tuple(right.time, right.position, right.is_message());",
               "    return std::tuple(left.time, left.is_message(), left.position) <\n"
               "           std::tuple(right.time, right.is_message(), right.position);",
               "pipeline/message_order",
               "no schedule deadlocks in the order of messages, whatever the durations were taken to be"),
        Mutant("idle replicas forget the reductions", "run/impl/execution_plan.ipp",
               "      for (const execution_item& item : closing_items(plan_, d)) devices[d].push_back(item);",
               "      if (!packs.empty())\n"
               "        for (const execution_item& item : closing_items(plan_, d)) devices[d].push_back(item);",
               "run/execution_plan", "an idle replica has no operations and joins all reductions"),
        Mutant("receiver takes the bytes of its own edge", "run/impl/execution_plan.ipp",
               "bytes = passed(plan.stages[item.stage - 1].activation_bytes);",
               "bytes = passed(plan.stages[item.stage].activation_bytes);",
               "run/execution_plan",
               "both ends of a message agree on its bytes, which are those of the edge and the pack"),
        Mutant("plans that deadlock accepted", "run/impl/execution_plan.ipp",
               "  if (run.stuck.empty()) return;\n", "  return;\n",
               "run/execution_plan", "a plan with anything wrong is refused"),
    ],
    "sums cannot overflow": [
        Mutant("sums wrap around", "core/arithmetic.hpp",
               "  if (const auto sum = try_add(left, right)) return *sum;",
               "  if (true) return static_cast<Integer>(static_cast<std::make_unsigned_t<Integer>>(left) +\n"
               "                                        static_cast<std::make_unsigned_t<Integer>>(right));",
               "core/arithmetic", "checked sums and products throw naming the field and the value"),
        Mutant("costs beyond the limit accepted", "dispatch/dispatch.hpp",
               "if (std::cmp_greater(given, most))", "if (false && std::cmp_greater(given, most))",
               "dispatch/dispatch", "dispatch_packs refuses broken options and costs"),
    ],
    "shares have one base": [
        Mutant("waiting of the slowest rank counted", "run/impl/epoch_simulation.ipp",
               "waiting += static_cast<double>(device_end[d]) * static_cast<double>(load.ranks)",
               "waiting += static_cast<double>(step_end) * static_cast<double>(load.ranks)",
               "run/plan_run", "An epoch worked out by hand"),
    ],
}
