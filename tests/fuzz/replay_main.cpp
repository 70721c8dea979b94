// Runs a fuzz target on the files of its corpus, and on every beginning of each, without libFuzzer:
// so what was found once is tested with every compiler and sanitizer.
//
//   <target>_replay <folder or file>...

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "fuzz_target.hpp"

// The sanitizers' own way to have a last word; absent without them.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*)());

namespace {

namespace fs = std::filesystem;

// The corpus stays small: every test run reads all of it.
constexpr std::size_t file_bytes_max = 4096;

// What is being run, for the last words of a run that fails.
std::string current_file;
std::size_t current_size = 0;

void say_where() {
  std::fprintf(stderr, "It was with the first %zu bytes of %s\n", current_size,
               current_file.c_str());
}

void on_abort(int) { say_where(); }  // then the signal takes its course

std::vector<fs::path> files_of(int argc, char** argv) {
  std::vector<fs::path> files;
  for (int i = 1; i < argc; ++i) {
    const fs::path path = argv[i];
    if (fs::is_regular_file(path)) files.push_back(path);
    if (!fs::is_directory(path)) continue;
    for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

void run(const std::vector<char>& bytes, std::size_t size) {
  current_size = size;
  // A copy of just this size, so that a sanitizer notices who reads beyond it.
  const std::vector<std::uint8_t> input(bytes.begin(),
                                        bytes.begin() + static_cast<std::ptrdiff_t>(size));
  LLVMFuzzerTestOneInput(input.data(), input.size());
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGABRT, on_abort);
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(say_where);

  const std::vector<fs::path> files = files_of(argc, argv);
  std::size_t inputs = 0;
  for (const fs::path& file : files) {
    std::ifstream in(file, std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
    if (!in || bytes.size() > file_bytes_max) {
      std::fprintf(stderr, "%s cannot be read, or has more than %zu bytes\n", file.c_str(),
                   file_bytes_max);
      return 1;
    }
    current_file = file.string();
    for (std::size_t size = 0; size <= bytes.size(); ++size) run(bytes, size);
    inputs += bytes.size() + 1;
  }
  std::printf("%zu files, %zu inputs\n", files.size(), inputs);
  if (files.empty()) std::fprintf(stderr, "There is nothing to run; name a folder with files.\n");
  return files.empty() ? 1 : 0;
}
