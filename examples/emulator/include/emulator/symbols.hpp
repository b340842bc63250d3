// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the symbol table of a program says of a kernel: its name, and where its __shared__
/// variables are. Those are static variables of the kernel here, so that their mangled names begin
/// with the kernel's. For 64-bit ELF; a program without symbols has kernels without names and
/// shared memory that is not poisoned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <cxxabi.h>
#include <elf.h>
#include <link.h>

namespace emulator {

struct kernel_symbols {
  std::string name = "kernel";
  std::vector<std::span<char>> shared_variables;
};

/// The file of the program or library that contains an address, and how far it was moved.
struct loaded_object {
  std::string path;
  std::uintptr_t moved_by = 0;
};

[[nodiscard]] inline loaded_object object_of(std::uintptr_t address) {
  struct search {
    std::uintptr_t address;
    loaded_object found;
  } search{address, {}};
  dl_iterate_phdr(
      [](dl_phdr_info* object, std::size_t, void* data) {
        auto& wanted = *static_cast<struct search*>(data);
        for (int i = 0; i < object->dlpi_phnum; ++i) {
          const auto& segment = object->dlpi_phdr[i];
          const std::uintptr_t begin = object->dlpi_addr + segment.p_vaddr;
          if (segment.p_type != PT_LOAD || wanted.address < begin ||
              wanted.address >= begin + segment.p_memsz)
            continue;
          const std::string_view name = object->dlpi_name;
          wanted.found = {name.empty() ? "/proc/self/exe" : std::string(name), object->dlpi_addr};
          return 1;
        }
        return 0;
      },
      &search);
  return search.found;
}

/// The symbols of an ELF file, read once.
class symbol_table {
 public:
  explicit symbol_table(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    content_.assign(std::istreambuf_iterator<char>(file), {});
    if (content_.size() < sizeof(Elf64_Ehdr) || content_.compare(0, SELFMAG, ELFMAG) != 0) return;
    const auto header = at<Elf64_Ehdr>(0);
    for (std::size_t i = 0; i < header.e_shnum; ++i)
      sections_.push_back(at<Elf64_Shdr>(header.e_shoff + i * header.e_shentsize));
  }

  /// Calls visit(symbol, name) for each.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (const Elf64_Shdr& section : sections_) {
      if (section.sh_type != SHT_SYMTAB) continue;
      const std::size_t names = sections_[section.sh_link].sh_offset;
      for (std::size_t i = 0; i < section.sh_size; i += sizeof(Elf64_Sym)) {
        const auto symbol = at<Elf64_Sym>(section.sh_offset + i);
        visit(symbol, std::string_view(content_.data() + names + symbol.st_name));
      }
    }
  }

  [[nodiscard]] bool is_writable(const Elf64_Sym& symbol) const {
    return symbol.st_shndx < sections_.size() &&
           (sections_[symbol.st_shndx].sh_flags & SHF_WRITE) != 0;
  }

 private:
  template <typename Value>
  [[nodiscard]] Value at(std::size_t offset) const {
    Value value;
    std::memcpy(&value, content_.data() + offset, sizeof value);
    return value;
  }

  std::string content_;
  std::vector<Elf64_Shdr> sections_;
};

/// "void fill<long>(int const*)" → "fill<long>".
[[nodiscard]] inline std::string readable(const std::string& mangled) {
  int status = 0;
  char* const text = abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status);
  std::string name = status == 0 ? text : mangled;
  std::free(text);
  if (name.rfind("void ", 0) == 0) name.erase(0, 5);
  int depth = 0;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '<') ++depth;
    if (name[i] == '>') --depth;
    if (name[i] == '(' && depth == 0 && name.compare(i, 11, "(anonymous ") != 0)
      return name.substr(0, i);
  }
  return name;
}

/// The name and the shared variables of a kernel.
[[nodiscard]] inline kernel_symbols symbols_of(const void* kernel) {
  kernel_symbols symbols;
  const auto address = reinterpret_cast<std::uintptr_t>(kernel);
  const loaded_object object = object_of(address);
  const symbol_table table(object.path);
  std::string mangled;
  table.for_each([&](const Elf64_Sym& symbol, std::string_view name) {
    if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_value + object.moved_by == address)
      mangled = name;
  });
  if (mangled.rfind("_Z", 0) != 0) return symbols;
  symbols.name = readable(mangled);
  const std::string prefix = "_ZZ" + mangled.substr(2) + "E";
  table.for_each([&](const Elf64_Sym& symbol, std::string_view name) {
    if (ELF64_ST_TYPE(symbol.st_info) != STT_OBJECT || name.substr(0, prefix.size()) != prefix ||
        !table.is_writable(symbol))
      return;
    symbols.shared_variables.emplace_back(
        reinterpret_cast<char*>(symbol.st_value + object.moved_by), symbol.st_size);
  });
  return symbols;
}

}  // namespace emulator
