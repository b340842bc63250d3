// SPDX-License-Identifier: Apache-2.0
/// @file
/// How a rank that fails tells the other ranks of its communicator of MPI why.
#pragma once

#include <algorithm>
#include <cstddef>
#include <new>
#include <optional>
#include <string>
#include <string_view>

#include <mpi.h>

#include <omnibal/config.hpp>

namespace omnibal::inline v0::detail {

/// The text by which other ranks learn of a failure.
class mpi_notices {
 public:
  static constexpr int tag = 1;

  /// Sends the reason to all other ranks without waiting for them. The text is never freed: a rank
  /// may take it after this one has gone on.
  static void send(MPI_Comm comm, std::size_t rank, std::size_t size,
                   std::string_view reason) noexcept {
    const auto bytes = static_cast<int>(std::min(reason.size(), longest));
    auto* text = new (std::nothrow) std::string(reason.substr(0, longest));
    if (text == nullptr) return;
    for (std::size_t r = 0; r < size; ++r) {
      MPI_Request request = MPI_REQUEST_NULL;
      if (r == rank) continue;
      if (MPI_Isend(text->data(), bytes, MPI_CHAR, static_cast<int>(r), tag, comm, &request) ==
          MPI_SUCCESS)
        MPI_Request_free(&request);
    }
  }

  /// The reason that another rank has sent, if one has.
  [[nodiscard]] static std::optional<std::string> receive(MPI_Comm comm) {
    int arrived = 0;
    MPI_Status status{};
    if (MPI_Iprobe(MPI_ANY_SOURCE, tag, comm, &arrived, &status) != MPI_SUCCESS || arrived == 0)
      return std::nullopt;
    std::string text(longest, '\0');
    int length = 0;
    MPI_Get_count(&status, MPI_CHAR, &length);
    MPI_Recv(text.data(), static_cast<int>(longest), MPI_CHAR, status.MPI_SOURCE, tag, comm,
             MPI_STATUS_IGNORE);
    text.resize(static_cast<std::size_t>(length));
    return text;
  }

 private:
  static constexpr std::size_t longest = 1000;
};

}  // namespace omnibal::inline v0::detail
