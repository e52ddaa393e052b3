// SPDX-License-Identifier: Apache-2.0
// The methods of the services as a table.
#pragma once

#include <span>
#include <string_view>

#include <google/protobuf/message.h>

#include "core/abandonment.h"
#include "server/commands/context.h"
#include "server/commands/spec.h"

namespace engram {

/// A method of a service in engram.proto. All text is static.
struct GrpcMethod {
  std::string_view name;  ///< "engram.v1.Engram.Put"
  /// What may run beside it on one stream.
  CommandKind (*kind)(Services& services, const google::protobuf::Message& request);
  /// Begins it, on the loop; the request is valid until it returns. What only reads may end early
  /// once it is abandoned.
  void (*begin)(Services& services, const google::protobuf::Message& request, Deferred reply,
                const Abandonment& abandonment);
  bool takes_memory = false;
};

std::span<const GrpcMethod> grpc_methods();

}  // namespace engram
