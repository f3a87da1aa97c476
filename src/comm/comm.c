/* SPDX-License-Identifier: Apache-2.0
 * src/comm/comm.c: the public functions that are the same for every communicator. */
#include "comm/comm.h"

int mla_comm_rank(const mla_comm_t *comm)
{
    return comm ? comm->rank : 0;
}

int mla_comm_size(const mla_comm_t *comm)
{
    return comm ? comm->nranks : 1;
}

void mla_comm_abort(mla_comm_t *comm, const char *why)
{
    if (comm) comm->ops->abort(comm, why ? why : "a rank gave up without a reason");
}

mla_status_t mla_comm_barrier(mla_comm_t *comm)
{
    mlai_error_t *err = mlai_thread_error();
    *err = (mlai_error_t){.status = MLA_OK};
    if (!comm) return mlai_fail(err, MLA_ARG, "comm is NULL");
    return comm->ops->agree(comm, MLA_OK, err);
}

void mla_comm_free(mla_comm_t *comm)
{
    if (comm) comm->ops->free(comm);
}
