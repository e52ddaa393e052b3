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

void Operations::run(Access access, Lane lane, Work work, std::function<void()> done) {
  gate_.enter(access, [this, owner = owner(), access, lane, work = std::move(work),
                       done = std::move(done)]() mutable {
    workers_.submit(std::make_unique<Operation>(*this, std::move(owner), access, std::move(work),
                                                std::move(done)),
                    lane);
  });
}

}  // namespace engram
