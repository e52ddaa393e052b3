// SPDX-License-Identifier: Apache-2.0
#include "server/engine/operations.h"

namespace engram {

class Operations::Operation final : public Job {
 public:
  Operation(Operations& operations, std::shared_ptr<void> owner, Access access, Work work,
            std::function<void()> done)
      : operations_(operations),
        owner_(std::move(owner)),
        access_(access),
        ticket_(operations.grace_.enter()),
        work_(std::move(work)),
        done_(std::move(done)) {}

  void run(Scratch& scratch) noexcept override { work_(scratch); }

  void done() noexcept override {
    done_();
    operations_.grace_.leave(ticket_);
    operations_.gate_.leave(access_);
  }

 private:
  Operations& operations_;
  const std::shared_ptr<void> owner_;
  const Access access_;
  const GracePeriod::Ticket ticket_;
  const Work work_;
  const std::function<void()> done_;
};

class Operations::WarmUp final : public Job {
 public:
  explicit WarmUp(Operations& operations) : operations_(operations), owner_(operations.owner()) {}

  void run(Scratch&) noexcept override { has_more_ = operations_.warm_up_(); }

  void done() noexcept override {
    if (has_more_) return operations_.take_warm_up_step();
    operations_.warm_up_ = nullptr;
    for (const auto& start : std::exchange(operations_.cold_, {})) start();
  }

 private:
  Operations& operations_;
  const std::shared_ptr<void> owner_;
  bool has_more_ = false;
};

void Operations::when_warm(std::function<void()> start) {
  if (!warm_up_) return start();
  cold_.push_back([owner = owner(), start = std::move(start)] { start(); });
  if (!std::exchange(warms_up_, true)) take_warm_up_step();
}

void Operations::take_warm_up_step() {
  workers_.submit(std::make_unique<WarmUp>(*this), Lane::kBulk);
}

void Operations::run(Access access, Lane lane, Work work, std::function<void()> done) {
  gate_.enter(access, [this, owner = owner(), access, lane, work = std::move(work),
                       done = std::move(done)]() mutable {
    workers_.submit(std::make_unique<Operation>(*this, std::move(owner), access, std::move(work),
                                                std::move(done)),
                    lane);
  });
}

}  // namespace engram
