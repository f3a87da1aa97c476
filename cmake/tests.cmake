# SPDX-License-Identifier: Apache-2.0
# tests/c/unit_*.c    one program and one test each
# tests/c/*.c         all others: `tester`, every routine in one program
# examples/c/*.c      one program and one test each; shared library and public header alone
# The tests link the objects, not the shared library, and so see internal functions too.
set(dir ${CMAKE_CURRENT_SOURCE_DIR}/tests/c)
file(GLOB units CONFIGURE_DEPENDS ${dir}/unit_*.c)
file(GLOB tester CONFIGURE_DEPENDS ${dir}/*.c)
list(REMOVE_ITEM tester ${units})
set(helpers ${tester})
list(FILTER helpers INCLUDE REGEX "/(check|gen|ranks)\\.c$")
set(names)

add_library(mla_tests INTERFACE)
target_include_directories(mla_tests INTERFACE ${dir} src ffi)
target_link_libraries(mla_tests INTERFACE mla_objects)

if(MLA_SANITIZE) # a part of what takes long
  set(quick_tester --quick)
  set(quick_unit_fault --quick)
  set(quick_unit_stedc --stride 5)
  set(quick_unit_qr --stride 7)
endif()

foreach(source ${units})
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source} ${helpers})
  target_link_libraries(${name} PRIVATE mla_tests mla_objects)
  add_test(NAME ${name} COMMAND ${name} ${quick_${name}})
  list(APPEND names ${name})
endforeach()
# unit_fault makes allocations of the library fail.
target_link_options(unit_fault PRIVATE
  -Wl,--wrap=malloc,--wrap=calloc,--wrap=aligned_alloc,--wrap=free)

if(EXISTS ${dir}/tester.c)
  add_executable(tester ${tester})
  target_link_libraries(tester PRIVATE mla_tests mla_objects)
  add_test(NAME tester COMMAND tester ${quick_tester})
  list(APPEND names tester)
endif()

# Times of the backend table's entries and of whole routines; no tests.
add_executable(bench_backend ${CMAKE_CURRENT_SOURCE_DIR}/bench/c/bench_backend.c)
target_link_libraries(bench_backend PRIVATE mla_tests mla_objects)
add_executable(bench_chol ${CMAKE_CURRENT_SOURCE_DIR}/bench/c/bench_chol.c)
target_link_libraries(bench_chol PRIVATE mla_tests mla_objects)

file(GLOB examples CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/examples/c/*.c)
foreach(source ${examples})
  get_filename_component(name ${source} NAME_WE)
  add_executable(example_${name} ${source})
  target_link_libraries(example_${name} PRIVATE meshlinalg mla_flags)
  add_test(NAME example_${name} COMMAND example_${name})
  list(APPEND names example_${name})
endforeach()

# One BLAS thread a rank; the sanitizers stop at the first finding.
set(env OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
    ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
    TSAN_OPTIONS=halt_on_error=1:allocator_may_return_null=1:suppressions=${CMAKE_CURRENT_SOURCE_DIR}/ci/tsan.supp
    LSAN_OPTIONS=suppressions=${CMAKE_CURRENT_SOURCE_DIR}/ci/lsan.supp)
if(MLA_TEST_BLAS)
  list(APPEND env MESHLINALG_BLAS=${MLA_TEST_BLAS})
endif()
if(names)
  set_tests_properties(${names} PROPERTIES TIMEOUT 900 ENVIRONMENT "${env}")
endif()

# Eigenproblems by way of a band, at every n.
foreach(band 1 6)
  add_test(NAME tester_band_${band} COMMAND tester syevd,syevj --n 0,1,7,65 --nb 0,7 --ranks 1,3
           --kind goe,cluster,graded,zero,onesplus,wilkinson)
  set_tests_properties(tester_band_${band} PROPERTIES TIMEOUT 900 ENVIRONMENT
    "${env};MESHLINALG_EIGH_BAND=${band}")
endforeach()

include(cmake/emu.cmake)
