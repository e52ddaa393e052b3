// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/python/engine_server.h"

#include <memory>
#include <string>
#include <utility>

#include "server/config/config.h"
#include "server/config/parameters.h"
#include "server/hosts/python/conversions.h"
#include "server/hosts/serve/server.h"
#include "server/requests/shown.h"

namespace engram::python {
namespace {

/// Threads: run() is called once, by one; the others by any.
class EngineServer {
 public:
  /// Settings by their names in the configuration file.
  explicit EngineServer(const Words& settings) {
    ServerConfig config;
    for (const auto& [name, value] : settings) {
      const Parameter* const parameter = find_parameter(name);
      if (parameter == nullptr || parameter->set == nullptr) {
        raise({ErrorCode::kInvalidArgument, "there is no setting '" + shown(name) + "'"});
      }
      const Status set = parameter->set(config, value);
      if (!set) raise({ErrorCode::kInvalidArgument, name + ": " + set.error().message});
    }
    server_ = value_of(without_gil([&] { return Server::make(std::move(config)); }));
  }
  ~EngineServer() {
    const GilRelease released;
    server_.reset();
  }
  EngineServer(const EngineServer&) = delete;
  EngineServer& operator=(const EngineServer&) = delete;

  void run() {
    check(without_gil([&] { return server_->run(); }));
  }
  void end() { server_->request_shutdown(); }
  [[nodiscard]] int port() const { return server_->port(); }

 private:
  std::unique_ptr<Server> server_;
};

}  // namespace

void bind_server(py::module_& module) {
  py::class_<EngineServer>(module, "EngineServer")
      .def(py::init<const Words&>())
      .def("run", &EngineServer::run)
      .def("end", &EngineServer::end)
      .def_property_readonly("port", &EngineServer::port);
}

}  // namespace engram::python
