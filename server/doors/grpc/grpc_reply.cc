// SPDX-License-Identifier: Apache-2.0
#include "server/doors/grpc/grpc_reply.h"

namespace engram {
namespace {

/// The one place where an Error becomes a status.
GrpcCode code_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return GrpcCode::kInvalidArgument;
    case ErrorCode::kNotFound:
      return GrpcCode::kNotFound;
    case ErrorCode::kAlreadyExists:
      return GrpcCode::kAlreadyExists;
    case ErrorCode::kWrongType:
      return GrpcCode::kFailedPrecondition;
    case ErrorCode::kUnsupported:
      return GrpcCode::kUnimplemented;
    case ErrorCode::kResourceExhausted:
      return GrpcCode::kResourceExhausted;
    case ErrorCode::kDataLoss:
      return GrpcCode::kDataLoss;
    case ErrorCode::kNoSpace:
    case ErrorCode::kUnavailable:
    case ErrorCode::kNotWritable:
      return GrpcCode::kUnavailable;
    case ErrorCode::kIo:
      break;
  }
  return GrpcCode::kInternal;
}

}  // namespace

std::string grpc_refusal(GrpcCode code, std::string_view sentence) {
  std::string bytes(1, static_cast<char>(code));
  return bytes.append(sentence);
}

std::string grpc_refusal(const Error& error) {
  return grpc_refusal(code_of(error.code), error.message);
}

std::string grpc_answer(const google::protobuf::MessageLite& message) {
  std::string bytes(1, static_cast<char>(GrpcCode::kOk));
  message.AppendToString(&bytes);
  return bytes;
}

}  // namespace engram
