/* SPDX-License-Identifier: Apache-2.0
 * tests/c/tester.c: runs routines over types, sizes, tiles, ranks and matrix kinds, checks the
 * scaled residual of each, and times it. Test and benchmark in one.
 *
 *     tester                   the standard sweeps (below);  tester --quick  a part of them
 *     tester [potrf,posv,poinv,potri,syevd,syevj,getrf,gesv,geinv] --type s,d,c,z
 *            --n 1,7,100:400:100 --nb 0,16 --ranks 1,2,3,4 --kind rand,cond:1e4 --nrhs 1,5
 *            --rhs rows|replicated --op n|t|c --pad 0
 *            --lc 0 --order cyclic|natural --device host|cuda --ordinals 0,1
 *            --comm threads|shm|peer|nccl|self --engine native|cusolvermg
 *            --precision full|high|low --repeat 3 --check y|n
 *            --tol 10 --json
 *
 * `syevj` is syevd without vectors; potri is potrf and potri. Ranks are threads; on CUDA rank p
 * works on device ordinals[p mod count], and the communicator is `peer` unless --comm says
 * otherwise (`self`: none, one rank). Kinds are those of gen.h; for those that fail at J a
 * routine passes when info is J + 1 (syevd and LU: > 0 for NaN) and all results are NaN (a factor
 * by LU is one all the same). With
 * TESTER_VERBOSE in the environment each case gets a line.
 * Last line: "N passed, M failed"; exit status 1 when a case failed or none ran, 2 for a wrong
 * argument. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "algo/algo.h"
#include "tester.h"

/* Small n, so that every shape comes up: n = 0, n < P, one tile, ragged tiles, empty shards. */
static const char *const standard[] = {
    "potrf,posv,poinv,potri --n 0,1,2,5,7,13,33,64,100 --nb 0,3,16 --ranks 1,2,3,4,8",
    "potrf,posv,poinv,potri --n 150,201 --nb 0,32 --ranks 1,3,4 --kind cond:1e4,cluster",
    "potrf,posv,poinv,potri --type d,z --n 90 --nb 0,7 --ranks 2,3 --kind graded,onesplus",
    "potrf,posv,poinv,potri --n 160 --nb 32 --ranks 1,3 --kind kernel:2,kernel:1000 --tol 0.1",
    "potrf,posv,poinv,potri --n 30,61 --nb 4,7 --ranks 1,2,3,8"
    " --kind indef:0,indef:-2,indef:-1,nan:0,nan:-2,nan:-1",
    "potrf,posv,poinv,potri --order natural --n 1,7,61 --nb 0,7 --ranks 1,2,3,8"
    " --kind rand,indef:-2",
    "posv --n 5,61 --nb 0,7 --ranks 1,2,3,4 --nrhs 0,2,17,70",
    "posv --n 5,61 --nb 0,7 --ranks 1,2,3,4 --nrhs 0,2,17,70 --rhs replicated",
    "posv --n 40 --nb 7 --ranks 3 --nrhs 513,1030",
    "potrf,posv,poinv,potri --n 7,61 --nb 0,7 --ranks 1,3 --pad 5",
    "potrf,posv,poinv,potri,syevd,syevj --n 10,33 --nb 0,7,40 --ranks 2,3 --lc 20",
    "potrf,posv,poinv,potri,syevd,syevj --n 40 --nb 7,40 --ranks 2,3 --lc 39",
    "potrf,posv,poinv,potri --n 61 --nb 0,7 --ranks 2,3 --comm shm --kind rand,indef:-1",
    "syevd,syevj --n 0,1,2,3,5,7,13,33,64,100 --nb 0,3,16 --ranks 1,2,3,4,8 --kind goe",
    "syevd,syevj --n 2,33,150 --nb 0,32 --ranks 1,3,5 --pad 3"
    " --kind rand,cond:1e10,cluster,graded,wilkinson,identity,diag,zero,onesplus,indef:-2",
    "syevd,syevj --n 1,30 --nb 1,4 --ranks 1,2,3 --kind nan:0,nan:-1",
    "syevd,syevj --type s,c --n 40 --nb 7 --ranks 1,3 --kind scaled:1e-30,scaled:1e30",
    "syevd,syevj --type d,z --n 40 --nb 7 --ranks 1,3 --kind scaled:1e-140,scaled:1e140",
    "syevd --type d,c --n 400 --nb 0 --ranks 2,3 --kind goe,cluster",
    "syevd,syevj --n 61 --nb 7 --ranks 2,3 --comm shm --kind goe,nan:-1",
    "getrf,gesv,geinv --n 0,1,2,5,13,33,100 --nb 0,7 --ranks 1,2,3,8 --kind general",
    "getrf,gesv,geinv --n 61 --nb 0,7 --ranks 1,3,8"
    " --kind goe,ties,identity,zerocol:0,zerocol:-2,zerocol:-1,zero,nangen:0,nangen:-2,nangen:-1",
    "getrf,gesv,geinv --n 20 --nb 3,20 --ranks 1,3 --kind growth --tol 1e4",
    "getrf,gesv,geinv --type d,z --n 201 --nb 0,7 --ranks 2,3 --kind graded,kernel:1000 --tol "
    "1",
    "getrf,gesv,geinv --order natural --n 1,61 --nb 0,7 --ranks 1,2,3 --kind "
    "general,zerocol:-2",
    "gesv --n 5,61 --nb 0,7 --ranks 1,2,3 --nrhs 0,2,70 --op t --kind general",
    "gesv --n 5,61 --nb 0,7 --ranks 1,2,3 --nrhs 0,2,70 --op c --rhs replicated --kind general",
    "gesv --n 5,61 --nb 0,7 --ranks 1,2,3 --nrhs 0,2,70 --rhs replicated --kind general",
    "gesv --n 40 --nb 7 --ranks 3 --nrhs 513,1030 --kind general",
    "gesv --n 40 --nb 7 --ranks 3 --nrhs 513,1030 --op c --kind general",
    "getrf,gesv,geinv --n 7,61 --nb 0,7 --ranks 1,3 --pad 5 --kind general",
    "getrf,gesv,geinv --n 10,40 --nb 7,40 --ranks 2,3 --lc 39 --kind general",
    "getrf,gesv,geinv --n 61 --nb 0,7 --ranks 2,3 --comm shm --kind general,zerocol:-1",
};
static const char *const quick[] = {
    "potrf,posv,poinv,potri --n 0,1,5,33 --nb 0,7 --ranks 1,2,3",
    "potrf,posv,poinv,potri --type s,z --n 30 --nb 7 --ranks 3 --kind cond:1e4,indef:-2,nan:-1",
    "potrf,posv,poinv,potri --type d,z --order natural --n 33 --nb 7 --ranks 3",
    "posv --type c --n 33 --nb 7 --ranks 3 --nrhs 0,2,520 --rhs replicated",
    "potrf,posv,poinv,potri --type d,c --n 33 --nb 7 --ranks 2 --pad 3 --comm shm",
    "syevd,syevj --n 0,1,2,5,33,150 --nb 0,7 --ranks 1,2,3 --kind goe",
    "syevd,syevj --type s,z --n 40 --nb 7 --ranks 3 --kind graded,cluster,nan:-1,scaled:1e-30",
    "getrf,gesv,geinv --n 0,1,5,33 --nb 0,7 --ranks 1,2,3 --kind general",
    "getrf,gesv,geinv --type s,z --n 30 --nb 7 --ranks 3 --kind ties,zerocol:-2,nangen:-1",
    "gesv --type d,c --n 33 --nb 7 --ranks 3 --nrhs 0,2,520 --op c --kind general",
    "gesv --type d,c --n 33 --nb 7 --ranks 2 --nrhs 3 --op t --rhs replicated --kind general",
    "gesv --type d,c --n 33 --nb 7 --ranks 2 --nrhs 3 --op t --comm shm --kind general",
};

static const char *const routine_names[ROUTINES] = {"potrf", "posv",  "poinv", "potri", "syevd",
                                                    "syevj", "getrf", "gesv",  "geinv"};

/* ---- arguments ----------------------------------------------------------------------------- */

enum { MAX_LIST = 64, LINE = 512 };

typedef struct list {
    int count;
    char *item[MAX_LIST];
} list_t;

typedef struct sweep {
    list_t routines, types, n, nb, ranks, kinds, nrhs;
    config_t base;
    bool json;
    int passed, failed;
} sweep_t;

static void split(char *text, const char *at, list_t *out)
{
    char *rest = NULL;
    out->count = 0;
    for (char *s = strtok_r(text, at, &rest); s && out->count < MAX_LIST;
         s = strtok_r(NULL, at, &rest))
        out->item[out->count++] = s;
}

static const char *const engine_names[] = {"auto", "native", "cusolvermg"};

static bool find_engine(const char *name, mla_engine_t *engine)
{
    for (int k = 0; k < (int)(sizeof engine_names / sizeof *engine_names); k++)
        if (!strcmp(name, engine_names[k])) {
            *engine = (mla_engine_t)k;
            return true;
        }
    return false;
}

/* Options with one value. Returns false for an unknown one. */
static bool set_value(sweep_t *s, const char *name, const char *v)
{
    config_t *c = &s->base;
    if (!strcmp(name, "--repeat"))
        c->repeat = atoi(v);
    else if (!strcmp(name, "--pad"))
        c->pad = atoll(v);
    else if (!strcmp(name, "--lc"))
        c->lc = atoll(v);
    else if (!strcmp(name, "--tol"))
        c->tol = atof(v);
    else if (!strcmp(name, "--check"))
        c->check = v[0] == 'y';
    else if (!strcmp(name, "--order"))
        c->order = v[0] == 'n' ? MLA_NATURAL : MLA_CYCLIC;
    else if (!strcmp(name, "--rhs"))
        c->rhs = strncmp(v, "re", 2) ? MLA_RHS_ROWS : MLA_RHS_REPLICATED;
    else if (!strcmp(name, "--precision"))
        c->precision = v[0] == 'f'   ? MLA_PRECISION_FULL
                       : v[0] == 'h' ? MLA_PRECISION_HIGH
                                     : MLA_PRECISION_LOW;
    else if (!strcmp(name, "--op"))
        c->op = v[0] == 't' ? MLA_T : v[0] == 'c' ? MLA_C : MLA_N;
    else if (!strcmp(name, "--device"))
        c->device = v[0] == 'c' ? MLA_CUDA : MLA_HOST;
    else if (!strcmp(name, "--comm"))
        c->comm = v;
    else if (!strcmp(name, "--engine"))
        return find_engine(v, &c->engine);
    else
        return false;
    return true;
}

static bool set_list(sweep_t *s, const char *name, char *v)
{
    const struct {
        const char *name;
        list_t *list;
    } lists[] = {{"--type", &s->types},  {"--n", &s->n},        {"--nb", &s->nb},
                 {"--ranks", &s->ranks}, {"--kind", &s->kinds}, {"--nrhs", &s->nrhs}};
    for (size_t k = 0; k < sizeof lists / sizeof lists[0]; k++)
        if (!strcmp(name, lists[k].name)) {
            split(v, ",", lists[k].list);
            return true;
        }
    if (strcmp(name, "--ordinals")) return false;
    list_t ordinals;
    split(v, ",", &ordinals);
    s->base.ordinal_count = ordinals.count;
    for (int k = 0; k < ordinals.count; k++) s->base.ordinal[k] = atoi(ordinals.item[k]);
    return true;
}

/* Every type, rank count and routine is one that exists. */
static const char *find_mistake(const sweep_t *s)
{
    for (int k = 0; k < s->types.count; k++)
        if (strlen(s->types.item[k]) != 1 || !strchr("sdcz", s->types.item[k][0]))
            return s->types.item[k];
    for (int k = 0; k < s->ranks.count; k++)
        if (atoi(s->ranks.item[k]) < 1 || atoi(s->ranks.item[k]) > MAX_RANKS)
            return s->ranks.item[k];
    for (int k = 0; k < s->routines.count; k++) {
        int r = 0;
        while (r < ROUTINES && strcmp(s->routines.item[k], routine_names[r]) != 0) r++;
        if (r == ROUTINES) return s->routines.item[k];
    }
    return NULL;
}

static const char *parse(sweep_t *s, int count, char **word)
{
    for (int i = 0; i < count; i++) {
        char *v = i + 1 < count ? word[i + 1] : NULL;
        if (word[i][0] != '-')
            split(word[i], ",", &s->routines);
        else if (!strcmp(word[i], "--json"))
            s->json = true;
        else if (v && (set_value(s, word[i], v) || set_list(s, word[i], v)))
            i++;
        else
            return word[i];
    }
    if (!s->base.comm) s->base.comm = s->base.device == MLA_HOST ? "threads" : "peer";
    return find_mistake(s);
}

/* ---- the sweep ----------------------------------------------------------------------------- */

static double flops(const config_t *c)
{
    double n = (double)c->n, f = mlai_is_complex(c->dt) ? 4.0 : 1.0;
    switch (c->routine) {
    case POTRF: return f * n * n * n / 3;
    case POSV: return f * (n * n * n / 3 + 2 * n * n * (double)c->nrhs);
    case SYEVD: return f * n * n * n * 14 / 3;
    case SYEVJ: return f * n * n * n * 4 / 3;
    case GETRF: return f * n * n * n * 2 / 3;
    case GESV: return f * (n * n * n * 2 / 3 + 2 * n * n * (double)c->nrhs);
    case GEINV: return f * n * n * n * 2;
    default: return f * n * n * n;
    }
}

static void print(const config_t *c, const outcome_t *out, bool json)
{
    double rate = out->seconds > 0 ? flops(c) / out->seconds * 1e-9 : 0;
    const char *format =
        json
            ? "{\"routine\": \"%s\", \"type\": \"%c\", \"n\": %lld, \"nb\": %lld, \"ranks\": %d, "
              "\"nrhs\": %lld, \"kind\": \"%s\", \"device\": \"%s\", \"comm\": \"%s\", "
              "\"engine\": \"%s\", \"order\": \"%s\", \"seconds\": %.6g, \"gflops\": %.5g, "
              "\"residual\": %.3g, "
              "\"ok\": %s}\n"
            : "%s %c n=%lld nb=%lld ranks=%d nrhs=%lld %s %s %s %s %s: %.3g s %.1f GF/s residual "
              "%.3g %s\n";
    if (!json) printf("%s ", out->ok ? "ok  " : "FAIL");
    printf(format, routine_names[c->routine], "sdcz"[c->dt], (long long)c -> n,
           (long long)c -> nb, c -> nranks, (long long)c -> nrhs, c -> kind,
           c -> device == MLA_HOST ? "host" : "cuda", c->comm, engine_names[c->engine],
           c->order == MLA_NATURAL ? "natural" : "cyclic", out->seconds, rate, out->residual,
           !json     ? out->why
           : out->ok ? "true"
                     : "false");
    fflush(stdout);
}

static void one(sweep_t *s, const config_t *c)
{
    outcome_t out = run_case(c);
    if (out.ok)
        s->passed++;
    else
        s->failed++;
    if (s->json || !out.ok || getenv("TESTER_VERBOSE")) print(c, &out, s->json);
}

static void sweep_sizes(sweep_t *s, config_t c)
{
    int nrhs = c.routine == POSV || c.routine == GESV ? s->nrhs.count : 1;
    for (int i = 0; i < s->n.count; i++) {
        long long from, to, step;
        if (sscanf(s->n.item[i], "%lld:%lld:%lld", &from, &to, &step) != 3) {
            from = to = atoll(s->n.item[i]);
            step = 1;
        }
        for (c.n = from; c.n <= to; c.n += mlai_max(1, step))
            for (int j = 0; j < s->nb.count * nrhs; j++) {
                c.nb = atoll(s->nb.item[j / nrhs]);
                c.nrhs = atoll(s->nrhs.item[j % nrhs]);
                one(s, &c);
            }
    }
}

static void sweep(sweep_t *s)
{
    for (int a = 0; a < s->routines.count; a++)
        for (int t = 0; t < s->types.count; t++)
            for (int p = 0; p < s->ranks.count; p++)
                for (int k = 0; k < s->kinds.count; k++) {
                    config_t c = s->base;
                    while (strcmp(routine_names[c.routine], s->routines.item[a]) != 0)
                        c.routine++;
                    c.dt = (mla_dtype_t)(strchr("sdcz", s->types.item[t][0]) - "sdcz");
                    c.nranks = atoi(s->ranks.item[p]);
                    c.kind = s->kinds.item[k];
                    sweep_sizes(s, c);
                }
}

/* One sweep: the words over the defaults. Returns the word that is wrong. */
static const char *run_words(sweep_t *total, int count, char **word)
{
    char types[] = "s,d,c,z", n[] = "1,7,64,100", nb[] = "0,16", ranks[] = "1,2,3,4";
    char kinds[] = "rand", nrhs[] = "1", routines[] = "potrf,posv,poinv,potri,syevd,syevj";
    sweep_t s = {.base = {.device = MLA_HOST, .repeat = 1, .check = true, .tol = 10}};
    split(types, ",", &s.types);
    split(n, ",", &s.n);
    split(nb, ",", &s.nb);
    split(ranks, ",", &s.ranks);
    split(kinds, ",", &s.kinds);
    split(nrhs, ",", &s.nrhs);
    split(routines, ",", &s.routines);
    const char *wrong = parse(&s, count, word);
    if (!wrong) sweep(&s);
    total->passed += s.passed;
    total->failed += s.failed;
    return wrong;
}

static const char *run_lines(sweep_t *total, int count, const char *const *line)
{
    for (int k = 0; k < count; k++) {
        char text[LINE];
        list_t words;
        snprintf(text, sizeof text, "%s", line[k]);
        split(text, " ", &words);
        int failed = total->failed;
        const char *wrong = run_words(total, words.count, words.item);
        if (failed < total->failed) printf("in: tester %s\n", line[k]);
        if (wrong) return line[k];
    }
    return NULL;
}

int main(int argc, char **argv)
{
    sweep_t total = {.passed = 0};
    const char *wrong;
    if (argc == 1)
        wrong = run_lines(&total, sizeof standard / sizeof standard[0], standard);
    else if (argc == 2 && !strcmp(argv[1], "--quick"))
        wrong = run_lines(&total, sizeof quick / sizeof quick[0], quick);
    else
        wrong = run_words(&total, argc - 1, argv + 1);
    if (wrong) {
        fprintf(stderr, "tester: wrong argument: %s\n", wrong);
        return 2;
    }
    printf("%d passed, %d failed\n", total.passed, total.failed);
    return total.failed || !total.passed;
}
