// SPDX-License-Identifier: Apache-2.0
// The handlers of V*, by the file that holds them; vector_commands.cc is their table.
#pragma once

namespace engram {

class CommandContext;

// vector_index.cc: indexes as a whole
void vnew(CommandContext& context);
void vdrop(CommandContext& context);
void vlist(CommandContext& context);

// vector_info.cc: what there is
void vinfo(CommandContext& context);
void vprimitives(CommandContext& context);

// vector_items.cc: single vectors
void vadd(CommandContext& context);
void vmadd(CommandContext& context);
void vdel(CommandContext& context);
void vget(CommandContext& context);

// vector_sets.cc: as Redis 8 has them
void vsim(CommandContext& context);
void vrem(CommandContext& context);
void vcard(CommandContext& context);
void vdim(CommandContext& context);
void vemb(CommandContext& context);
void vismember(CommandContext& context);

// vector_set_members.cc
void vlinks(CommandContext& context);
void vrandmember(CommandContext& context);
void vrange(CommandContext& context);

// vector_strength.cc
void vtouch(CommandContext& context);
void vstrength(CommandContext& context);

// vector_attributes.cc
void vsetattr(CommandContext& context);
void vgetattr(CommandContext& context);

// vector_forget.cc
void vforget(CommandContext& context);

// vector_consolidate.cc
void vconsolidate(CommandContext& context);

// vector_recall.cc
void vrecall(CommandContext& context);
void venergy(CommandContext& context);

// vector_tune.cc: surveys
void vtune(CommandContext& context);
void vdiag(CommandContext& context);

// vector_search.cc
void vsearch(CommandContext& context);
void vmsearch(CommandContext& context);

}  // namespace engram
