// A folder that is gone, with all that is in it, when the object is.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <stdexcept>
#include <string>

namespace websession::testing {

class TemporaryFolder {
 public:
  // `what` becomes part of its name.
  explicit TemporaryFolder(const std::string& what)
      : path_(std::filesystem::temp_directory_path() / ("websession-" + what + "-XXXXXX")) {
    if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("no temporary folder");
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

}  // namespace websession::testing
