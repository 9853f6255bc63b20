#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/services.h"
#include "common/files.h"

// A whole installation on this machine with the nano base, and its command line as a user has it.
namespace espalier::e2e {

struct Output {
  int code = 0;
  std::vector<std::string> lines;  // stdout and stderr, in order
  std::string text() const;
};

// Runs a program of the build to its end. `on_line` sees its lines as they come.
Output run_program(const std::vector<std::string>& argv, const std::vector<std::string>& environment = {},
                   const std::function<void(const std::string&)>& on_line = {});

class Installation {
 public:
  // Coordinator, worker and inference service, in a temporary folder; asserts that they come up.
  Installation();
  ~Installation();

  // The espalier command against this installation.
  Output espalier(std::vector<std::string> arguments,
                  const std::function<void(const std::string&)>& on_line = {}) const;
  // As espalier --json …; the last line, parsed by the caller.
  std::string espalier_json(std::vector<std::string> arguments) const;

  const std::filesystem::path& folder() const { return folder_.path(); }
  const std::string& coordinator() const { return services_->coordinator(); }
  const std::string& inference() const { return services_->inference(); }

  // Sends SIGKILL to the running program of that name that belongs to this installation; waits up to 60 s for one to
  // be there. False: there was none.
  bool kill_program(const std::string& name) const;
  // The process of a program of this installation with `argument` in its command line, waited for like that; 0: none.
  pid_t find_program(const std::string& name, const std::string& argument) const;

 private:
  std::vector<std::string> environment() const;

  TempDir folder_;
  std::unique_ptr<client::Services> services_;
};

// The installation shared by the tests of this program; started by the first that needs it.
const Installation& installation();

// Four small objects as GLB files in a zip, made once.
const std::filesystem::path& assets();

// Why the tests cannot run; empty when the nano base is in the source tree.
std::string missing_base();

}  // namespace espalier::e2e
