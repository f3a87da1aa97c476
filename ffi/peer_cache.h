/* SPDX-License-Identifier: Apache-2.0
 * ffi/peer_cache.h: communicators of GPUs that are kept from call to call. Making one takes
 * milliseconds and device memory, and XLA runs the calls of a device in the order of the program,
 * which is the same on all devices: so ranks that have met once can go on with what they have.
 * After a failure they make a new one.
 *
 *     team    all ranks are devices of this process. The meeting (rendezvous.c) has brought them
 *             together and knows their devices: a team is known by these, in rank order.
 *     link    one rank of a group of several processes, known by the name of the group. The
 *             ranks meet by the communicator itself, which is called by the name of the group
 *             and the number of the call that made it: every rank counts alike.
 *
 * Of each at most MLAI_PEER_CACHE are kept; the one used longest ago goes. */
#ifndef MLAI_PEER_CACHE_H
#define MLAI_PEER_CACHE_H

#include <stdbool.h>

#include "meshlinalg.h"
#include "xla_args.h"

enum { MLAI_PEER_CACHE = 16, MLAI_GROUP_NAME = 160 };

/* What the ranks of new communicators reach one another by. */
typedef enum mlai_fabric { MLAI_FABRIC_PEER = 0, MLAI_FABRIC_NCCL = 1 } mlai_fabric_t;
mlai_fabric_t mlai_fabric(void);

typedef struct mlai_team mlai_team_t;
typedef struct mlai_link mlai_link_t;

/* The team of these devices, for one meeting; NULL: out of memory. Each meeting gives it back
 * once, and says whether a rank has failed. */
mlai_team_t *mlai_team_take(const int *ordinals, int nranks);
void mlai_team_give(mlai_team_t *team, bool failed);
/* This rank's endpoint; the first time all ranks make theirs. Called by each rank. */
mla_status_t mlai_team_comm(mlai_team_t *team, int rank, double limit, mla_comm_t **comm);

/* This rank's endpoint in group `name`, on device `ordinal`; waits for the other ranks. */
mla_status_t mlai_link_take(const char *name, int nranks, int rank, int ordinal, double limit,
                            mlai_link_t **link, mla_comm_t **comm);
void mlai_link_give(mlai_link_t *link, bool failed);

/* Frees what is not needed any more: may wait for the devices; not to be called under a lock. */
void mlai_peer_cache_sweep(void);

/* Carries the MLA_NCCL_ID_BYTES of an id from the process that gives it to those that do not,
 * under a name that is alike on all of them; within `seconds`. 0: done. */
typedef int mla_xla_exchange_t(const char *name, int give, char *id, double seconds);
/* Called from Python: the fabric (a mlai_fabric_t) from the next call on, on all processes; what
 * carries ids between processes, or NULL. -1: no such fabric. */
MLA_API int mla_xla_set_fabric(int which, mla_xla_exchange_t *carry);

/* Called from Python: frees all that is not in use, with its device memory. Ranks of other
 * processes then make a new communicator as well, at their next call. */
MLA_API void mla_xla_release(void);

#endif
