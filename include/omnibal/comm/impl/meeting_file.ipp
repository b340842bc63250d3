// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/meeting_file.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/deadline.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

namespace detail {

[[nodiscard]] inline std::string random_ticket() {
  std::random_device random;
  return std::to_string(std::uint64_t{random()} << 32 | random());
}

/// Nothing where there is no such file.
[[nodiscard]] inline std::optional<std::string> contents_of(const std::filesystem::path& file) {
  std::ifstream input(file, std::ios::binary);
  if (!input) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(input), {});
}

/// The file appears whole.
inline void write_whole(const std::filesystem::path& file, std::string_view text,
                        const std::string& named) {
  const std::filesystem::path part = file.string() + ".part";
  std::ofstream output(part, std::ios::binary);
  output << text;
  output.close();
  std::error_code error;
  if (!output.fail()) std::filesystem::rename(part, file, error);
  if (output.fail() || error)
    throw invalid_input(named, file.string(),
                        "cannot be written: its folder must exist, be seen by all processes, and "
                        "be writable");
}

/// A meeting at its file. The file has the number of ranks, the tickets of all but the first, and
/// what was made.
class meeting_place {
 public:
  explicit meeting_place(const file_meeting& meeting)
      : meeting_(meeting), end_(deadline_after(meeting.deadline)) {}

  /// On rank 0.
  void give(const std::string& made) {
    std::vector<std::string> known(meeting_.ranks - 1);
    bool written = false;
    do {
      bool all_gone = true;
      for (std::size_t rank = 1; rank < meeting_.ranks; ++rank) {
        const std::optional<std::string> ticket = contents_of(ticket_of(rank));
        if (!ticket) continue;
        all_gone = false;
        written = written && known[rank - 1] == *ticket;
        known[rank - 1] = *ticket;
      }
      if (written && all_gone) return remove(meeting_.file);
      if (!written && missing(known).empty()) {
        write_whole(meeting_.file, header(known) + made, meeting_.named);
        written = true;
      }
    } while (waits());
    remove(meeting_.file);
    fail(written ? "not all ranks have taken " + meeting_.file.string()
                 : "ranks did not come: " + missing(known));
  }

  /// On the others.
  [[nodiscard]] std::string take() {
    const std::string own = random_ticket();
    write_whole(ticket_of(meeting_.rank), own, meeting_.named);
    do {
      auto made = made_for(own, contents_of(meeting_.file).value_or(""));
      if (made) {
        remove(ticket_of(meeting_.rank));
        return *std::move(made);
      }
    } while (waits());
    remove(ticket_of(meeting_.rank));
    fail("rank 0 did not come");
  }

 private:
  [[nodiscard]] std::filesystem::path ticket_of(std::size_t rank) const {
    return meeting_.file.string() + "." + std::to_string(rank);
  }

  [[nodiscard]] std::string first_line() const {
    return "omnibal meeting of " + std::to_string(meeting_.ranks) + "\n";
  }

  [[nodiscard]] std::string header(const std::vector<std::string>& tickets) const {
    std::string text = first_line();
    for (const std::string& each : tickets) text += each + "\n";
    return text;
  }

  /// What follows the header, if this rank's ticket is in its line.
  [[nodiscard]] std::optional<std::string> made_for(const std::string& own,
                                                    const std::string& text) const {
    if (!text.starts_with(first_line())) return std::nullopt;
    std::size_t begin = 0;
    for (std::size_t line = 0; line < meeting_.ranks; ++line) {
      const std::size_t end = text.find('\n', begin);
      if (end == std::string::npos) return std::nullopt;
      const std::string_view found = std::string_view(text).substr(begin, end - begin);
      if (line == meeting_.rank && found != own) return std::nullopt;
      begin = end + 1;
    }
    return text.substr(begin);
  }

  /// The ranks without a ticket, as "1, 3".
  [[nodiscard]] static std::string missing(const std::vector<std::string>& tickets) {
    std::string ranks;
    for (std::size_t i = 0; i < tickets.size(); ++i)
      if (tickets[i].empty()) ranks += (ranks.empty() ? "" : ", ") + std::to_string(i + 1);
    return ranks;
  }

  /// False at the deadline.
  [[nodiscard]] bool waits() const {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return std::chrono::steady_clock::now() < end_;
  }

  static void remove(const std::filesystem::path& file) noexcept {
    std::error_code none;
    std::filesystem::remove(file, none);
  }

  [[noreturn]] void fail(const std::string& reason) const {
    throw communication_error(meeting_.rank, "meeting by a file", 0,
                              reason + " within " + std::to_string(meeting_.deadline.count()) +
                                  " ms: start " + std::to_string(meeting_.ranks) +
                                  " processes, each with a rank of its own and the same " +
                                  meeting_.named + ", which is " + meeting_.file.string() +
                                  " here");
  }

  file_meeting meeting_;
  std::chrono::steady_clock::time_point end_;
};

}  // namespace detail

OMNIBAL_INLINE std::string meet_by_file(const file_meeting& meeting,
                                        const std::function<std::string()>& make) {
  require_waiting_time("deadline", meeting.deadline);
  if (meeting.rank >= meeting.ranks)
    throw invalid_input("rank", meeting.rank,
                        "must be below the number of ranks, " + std::to_string(meeting.ranks));
  detail::meeting_place place(meeting);
  if (meeting.rank > 0) return place.take();
  std::string made = make();
  place.give(made);
  return made;
}

}  // namespace omnibal::inline v0
