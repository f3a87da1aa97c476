/* SPDX-License-Identifier: Apache-2.0
 * tests/c/check.c: residuals by random probes (definitions in check.h). */
#include "check.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "core/dtype.h"
#include "core/size.h"

enum { K = CHECK_PROBES };

double check_eps(mla_dtype_t dt)
{
    return dt == MLA_FLOAT32 || dt == MLA_COMPLEX64 ? FLT_EPSILON / 2 : DBL_EPSILON / 2;
}

int check_init(check_t *c)
{
    size_t count = (size_t)c->d.n * K + 1;
    int ok = 1;
    for (int v = 0; v < 3; v++) ok = (c->vec[v] = calloc(count, sizeof(gen_z))) && ok;
    for (int p = 0; p < c->d.nranks; p++) {
        ok = (c->part[p] = calloc(count, sizeof(gen_z))) && ok;
        ok = (c->column[p] = calloc(count, sizeof(gen_z))) && ok;
    }
    return ok ? 0 : -1;
}

void check_free(check_t *c)
{
    for (int v = 0; v < 3; v++) free(c->vec[v]);
    for (int p = 0; p < CHECK_RANKS; p++) {
        free(c->part[p]);
        free(c->column[p]);
    }
}

/* ---- what the ranks do together ------------------------------------------------------------ */

static void meet(check_t *c)
{
    pthread_barrier_wait(c->meet);
}

static double larger(double a, double b)
{
    return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
}

double check_most(check_t *c, int rank, double mine)
{
    double most = 0;
    c->most[rank] = mine;
    meet(c);
    for (int p = 0; p < c->d.nranks; p++) most = larger(most, c->most[p]);
    meet(c);
    return most;
}

static double ratio(double a, double b)
{
    return a == 0 ? 0 : a / b;
}

/* ---- matrices by columns ---------------------------------------------------------------------
 */

/* Column j (natural) of a distributed matrix into out. */
typedef void column_fn(const check_t *c, int64_t j, gen_z *out);

static void b_column(const check_t *c, int64_t j, gen_z *out)
{
    gen_column(c->gen, j, out);
}

static void block_column(const check_t *c, int64_t j, gen_z *out)
{
    const void *block = c->block[j / c->d.lc];
    int64_t first = j % c->d.lc * c->ld;
    for (int64_t i = 0; i < c->d.n; i++) out[i] = gen_get(c->gen->dt, block, first + i);
}

/* Rows of a factor are in elimination order and count from the diagonal on. */
static void factor_column(const check_t *c, int64_t j, gen_z *out)
{
    block_column(c, j, out);
    int64_t pos = mlai_dist_pos(&c->d, j);
    for (int64_t i = 0; i < pos; i++) out[i] = 0;
}

static void upper_column(const check_t *c, int64_t j, gen_z *out)
{
    block_column(c, j, out);
    for (int64_t i = mlai_dist_pos(&c->d, j) + 1; i < c->d.n; i++) out[i] = 0;
}

static void unit_lower_column(const check_t *c, int64_t j, gen_z *out)
{
    int64_t pos = mlai_dist_pos(&c->d, j);
    block_column(c, j, out);
    for (int64_t i = 0; i < pos; i++) out[i] = 0;
    out[pos] = 1;
}

/* Largest column sum of absolute values. */
static double norm1(check_t *c, int rank, column_fn *get)
{
    double most = 0;
    int64_t first = rank * c->d.lc, cols = mlai_dist_cols(&c->d, rank);
    for (int64_t j = first; j < first + cols; j++) {
        double sum = 0;
        get(c, j, c->column[rank]);
        for (int64_t i = 0; i < c->d.n; i++) sum += cabs(c->column[rank][i]);
        most = larger(most, sum);
    }
    return check_most(c, rank, most);
}

/* acc += z w, without the tests for infinities that C asks for. */
static void add_product(gen_z *acc, gen_z z, gen_z w)
{
    *acc += CMPLX(creal(z) * creal(w) - cimag(z) * cimag(w),
                  creal(z) * cimag(w) + cimag(z) * creal(w));
}

/* y := op(M) x for the K vectors of x. 'N' M, 'C' conj(M), 'T' its transpose, 'H' both. */
static void apply(check_t *c, int rank, char op, column_fn *get, const gen_z *x, gen_z *y)
{
    int64_t n = c->d.n, first = rank * c->d.lc, cols = mlai_dist_cols(&c->d, rank);
    int transposed = op == 'T' || op == 'H', conjugate = op == 'C' || op == 'H';
    gen_z *col = c->column[rank], *part = c->part[rank];
    for (int64_t i = 0; i < n * K; i++) part[i] = 0;
    for (int64_t j = first; j < first + cols; j++) {
        get(c, j, col);
        for (int64_t i = 0; conjugate && i < n; i++) col[i] = conj(col[i]);
        for (int k = 0; k < K; k++) {
            gen_z sum = 0;
            for (int64_t i = 0; transposed && i < n; i++) add_product(&sum, col[i], x[i + k * n]);
            part[j + k * n] += sum;
            for (int64_t i = 0; !transposed && i < n; i++)
                add_product(&part[i + k * n], col[i], x[j + k * n]);
        }
    }
    meet(c);
    for (int64_t i = rank * n * K / c->d.nranks; i < (rank + 1) * n * K / c->d.nranks; i++) {
        y[i] = 0;
        for (int p = 0; p < c->d.nranks; p++) y[i] += c->part[p][i];
    }
    meet(c);
}

/* Rank 0 sets what the others read. */
static void probes(check_t *c, int rank, gen_z *x)
{
    for (int64_t i = 0; rank == 0 && i < c->d.n; i++)
        for (int k = 0; k < K; k++)
            x[i + k * c->d.n] =
                CMPLX(gen_hash(77 + (uint64_t)k, i, 3), gen_hash(99 + (uint64_t)k, i, 4));
    meet(c);
}

/* Element i of vector k in another order, and back. */
static void permute(check_t *c, int rank, bool forward, const gen_z *x, gen_z *y)
{
    int64_t n = c->d.n;
    for (int64_t i = 0; rank == 0 && i < n; i++)
        for (int k = 0; k < K; k++) {
            int64_t pos = mlai_dist_pos(&c->d, i);
            y[(forward ? pos : i) + k * n] = x[(forward ? i : pos) + k * n];
        }
    meet(c);
}

/* Largest |a - b| / |p| over the vectors. */
static double distance(check_t *c, const gen_z *a, const gen_z *b, const gen_z *p)
{
    double most = 0;
    for (int k = 0; k < K; k++) {
        double s = 0, size = 0;
        for (int64_t i = k * c->d.n; i < (k + 1) * c->d.n; i++) {
            double e = cabs(a[i] - b[i]), f = cabs(p[i]);
            s += e * e;
            size += f * f;
        }
        most = larger(most, ratio(sqrt(s), sqrt(size)));
    }
    meet(c); // the vectors may be used again
    return most;
}

/* ---- the measures -------------------------------------------------------------------------- */

double check_solve(check_t *c, int rank, mla_op_t op, int64_t nrhs, const gen_z *x,
                   gen_z (*rhs)(const void *who, int64_t k, int64_t j), const void *who)
{
    int64_t n = c->d.n, mine = rank * c->d.lc, end = mine + mlai_dist_cols(&c->d, rank);
    double res = 0, size = 0, eps = check_eps(c->gen->dt);
    for (int64_t j = mine; j < end; j++) {
        double sum = 0;
        for (int64_t k = 0; k < nrhs; k++) sum += cabs(x[k + j * nrhs]);
        size = larger(size, sum);
    }
    double scale = check_most(c, rank, size) * norm1(c, rank, b_column) * (double)n * eps;
    // All rows when they are few, else random combinations of them.
    for (int64_t i = mine; i < end; i++)
        for (int k = 0; k < K; k++) {
            gen_z y = 0, r = 0;
            for (int64_t l = 0; l < nrhs; l++) {
                double p = nrhs <= K ? l == k : gen_hash(55 + (uint64_t)k, l, 0);
                if (p == 0) continue;
                y += p * x[l + i * nrhs];
                r += p * rhs(who, l, i);
            }
            c->vec[0][i + k * n] = y;
            c->vec[1][i + k * n] = r;
        }
    meet(c);
    char way = op == MLA_N ? 'T' : op == MLA_T ? 'N' : 'C';
    apply(c, rank, way, b_column, c->vec[0], c->vec[2]);
    for (int64_t i = 0; i < n * K; i++) res = larger(res, cabs(c->vec[2][i] - c->vec[1][i]));
    meet(c);
    return ratio(res, scale);
}

double check_inverse(check_t *c, int rank)
{
    double scale = norm1(c, rank, b_column) * norm1(c, rank, block_column) * (double)c->d.n *
                   check_eps(c->gen->dt);
    probes(c, rank, c->vec[0]);
    apply(c, rank, 'N', block_column, c->vec[0], c->vec[1]);
    apply(c, rank, 'N', b_column, c->vec[1], c->vec[2]);
    return ratio(distance(c, c->vec[2], c->vec[0], c->vec[0]), scale);
}

double check_hermitian(check_t *c, int rank)
{
    enum { RUN = 64 }; // rows at a time: the transposed element is a long way off
    double most = 0, size = norm1(c, rank, block_column);
    int64_t first = rank * c->d.lc, cols = mlai_dist_cols(&c->d, rank);
    for (int64_t ib = 0; ib < c->d.n; ib += RUN)
        for (int64_t jl = 0; jl < cols; jl++)
            for (int64_t i = ib; i < mlai_min(ib + RUN, first + jl + 1); i++) {
                gen_z z = gen_get(c->gen->dt, c->block[rank], i + jl * c->ld);
                gen_z t =
                    gen_get(c->gen->dt, c->block[i / c->d.lc], first + jl + i % c->d.lc * c->ld);
                most = larger(most, cabs(z - conj(t)));
            }
    return ratio(check_most(c, rank, most), size * check_eps(c->gen->dt));
}

double check_factor(check_t *c, int rank)
{
    double above = 0, scale = norm1(c, rank, b_column) * (double)c->d.n * check_eps(c->gen->dt);
    int64_t first = rank * c->d.lc, cols = mlai_dist_cols(&c->d, rank);
    for (int64_t jl = 0; c->d.order == MLA_NATURAL && jl < cols; jl++)
        for (int64_t i = 0; i < first + jl; i++)
            if (gen_get(c->gen->dt, c->block[rank], i + jl * c->ld) != 0) above = INFINITY;
    // y := L^H Pi p, r := Pi^T L y, against B p. The columns of a factor have natural numbers
    // here.
    probes(c, rank, c->vec[0]);
    permute(c, rank, true, c->vec[0], c->vec[1]);
    apply(c, rank, 'H', factor_column, c->vec[1], c->vec[2]);
    apply(c, rank, 'N', factor_column, c->vec[2], c->vec[1]);
    permute(c, rank, false, c->vec[1], c->vec[2]);
    apply(c, rank, 'N', b_column, c->vec[0], c->vec[1]);
    double res = ratio(distance(c, c->vec[1], c->vec[2], c->vec[0]), scale);
    return larger(res, check_most(c, rank, above));
}

/* Whether each row comes once, and no element of L is larger than 1 (complex: sqrt(2), for pivots
 * are chosen by |re| + |im|), but for rounding. */
static bool pivoting_fits(check_t *c, int rank, const int32_t *perm)
{
    gen_z *col = c->column[rank];
    double most = 0;
    for (int64_t i = 0; i < c->d.n; i++) col[i] = 0;
    for (int64_t i = 0; i < c->d.n; i++) {
        if (perm[i] < 0 || perm[i] >= c->d.n) return false;
        col[perm[i]] += 1;
    }
    for (int64_t i = 0; i < c->d.n; i++)
        if (col[i] != 1) return false;
    int64_t first = rank * c->d.lc, cols = mlai_dist_cols(&c->d, rank);
    for (int64_t j = first; j < first + cols; j++) {
        unit_lower_column(c, j, col);
        for (int64_t i = 0; i < c->d.n; i++) most = larger(most, cabs(col[i]));
    }
    return most <= (mlai_is_complex(c->gen->dt) ? sqrt(2) : 1) * (1 + 1e-5);
}

double check_lu(check_t *c, int rank, const int32_t *perm)
{
    int64_t n = c->d.n;
    double scale = norm1(c, rank, b_column) * (double)n * check_eps(c->gen->dt);
    double wrong = pivoting_fits(c, rank, perm) ? 0 : INFINITY;
    if (check_most(c, rank, wrong) > 0) return INFINITY;
    // L (U Pi p) against P (B p).
    probes(c, rank, c->vec[0]);
    apply(c, rank, 'N', upper_column, c->vec[0], c->vec[1]);
    permute(c, rank, false, c->vec[1], c->vec[2]);
    apply(c, rank, 'N', unit_lower_column, c->vec[2], c->vec[1]);
    apply(c, rank, 'N', b_column, c->vec[0], c->vec[2]);
    for (int64_t i = 0; rank == 0 && i < n; i++)
        for (int k = 0; k < K; k++) c->part[0][i + k * n] = c->vec[2][perm[i] + k * n];
    meet(c);
    double res = ratio(distance(c, c->vec[1], c->part[0], c->vec[0]), scale);
    meet(c);
    return res;
}

double check_eigen(check_t *c, int rank, const double *w)
{
    int64_t n = c->d.n;
    double unit = (double)n * check_eps(c->gen->dt), scale = norm1(c, rank, b_column) * unit;
    double res = 0;
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(w[i]) || (i > 0 && !(w[i] >= w[i - 1]))) res = INFINITY;
    // Column j of the blocks is row j of Z: Z is the transpose of what is stored.
    probes(c, rank, c->vec[0]);
    apply(c, rank, 'T', block_column, c->vec[0], c->vec[1]); // Z p
    apply(c, rank, 'C', block_column, c->vec[1], c->vec[2]); // Z^H Z p
    res = larger(res, ratio(distance(c, c->vec[2], c->vec[0], c->vec[0]), unit));
    apply(c, rank, 'C', b_column, c->vec[1], c->vec[2]); // A Z p
    for (int64_t i = 0; rank == 0 && i < n * K; i++) c->vec[0][i] *= w[i % n];
    meet(c);
    apply(c, rank, 'T', block_column, c->vec[0], c->vec[1]); // Z diag(w) p
    probes(c, rank, c->vec[0]);
    return larger(res, ratio(distance(c, c->vec[1], c->vec[2], c->vec[0]), scale));
}

int check_all_nan(check_t *c, int rank)
{
    int64_t cols = mlai_dist_cols(&c->d, rank);
    double numbers = 0;
    for (int64_t jl = 0; jl < cols; jl++)
        for (int64_t i = 0; i < c->d.n; i++)
            if (!isnan(creal(gen_get(c->gen->dt, c->block[rank], i + jl * c->ld)))) numbers++;
    return check_most(c, rank, numbers) == 0;
}
