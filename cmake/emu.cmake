# SPDX-License-Identifier: Apache-2.0
# Tests of the CUDA backend without a GPU (tests/emu/README.md): the kernels' sources compiled by a
# C++ compiler, behind a fake driver, cuBLAS and cuSOLVER that the library opens like the real ones.
set(emu ${CMAKE_CURRENT_SOURCE_DIR}/tests/emu)
set(fake_dir ${CMAKE_CURRENT_BINARY_DIR}/fake)

# fake_library(target soname folder sources...)
function(fake_library target soname folder)
  add_library(${target} SHARED ${ARGN})
  target_include_directories(${target} PRIVATE ${emu} src include ${kernel_dir})
  target_compile_definitions(${target} PRIVATE $<$<COMPILE_LANGUAGE:C>:_GNU_SOURCE=>)
  target_compile_options(${target} PRIVATE ${sanitizer} -fvisibility=hidden -Wall -Wextra
                         -Wno-unknown-pragmas -Wno-maybe-uninitialized -U_FORTIFY_SOURCE)
  target_link_options(${target} PRIVATE ${sanitizer})
  target_link_libraries(${target} PRIVATE m Threads::Threads)
  set_target_properties(${target} PROPERTIES C_STANDARD 11 CXX_STANDARD 17 PREFIX "" SUFFIX ""
    OUTPUT_NAME ${soname} NO_SONAME ON LINK_FLAGS -Wl,-soname,${soname}
    LIBRARY_OUTPUT_DIRECTORY ${folder} BUILD_RPATH ${folder})
endfunction()

# Communicators of GPUs need copies and events only. Processes are forked: the fake driver is there
# from the start, and what they share with it.
fake_library(fake_driver libcuda.so.1 ${fake_dir}/driver ${emu}/fake_cuda.c ${emu}/no_kernels.c)
set(peer peer)
if(MLA_SANITIZE)
  set(peer peer quick)
endif()
foreach(name unit_comm unit_meeting)
  add_executable(emu_${name} ${dir}/${name}.c ${helpers})
  target_link_libraries(emu_${name} PRIVATE mla_tests mla_objects -Wl,--no-as-needed fake_driver)
  add_test(NAME emu_${name} COMMAND emu_${name} ${peer})
  set_tests_properties(emu_${name} PROPERTIES TIMEOUT 900 ENVIRONMENT
    "${env};FAKE_CUDA_SHARED=1")
endforeach()

include(CheckLanguage)
check_language(CXX)
# ThreadSanitizer knows nothing of the emulation's fibres.
if(CMAKE_CXX_COMPILER AND NOT MLA_SANITIZE STREQUAL "thread")
  enable_language(CXX)
  fake_library(fake_cuda libcuda.so.1 ${fake_dir} ${emu}/fake_cuda.c ${emu}/kernels.cpp)
  fake_library(fake_cublas libcublas.so.13 ${fake_dir} ${emu}/fake_cublas.c)
  fake_library(fake_cusolver libcusolver.so.12 ${fake_dir} ${emu}/fake_cusolver.c)
  fake_library(fake_cusolvermg libcusolverMg.so.12 ${fake_dir} ${emu}/fake_cusolvermg.c)
  fake_library(fake_nccl libnccl.so.2 ${fake_dir} ${emu}/fake_nccl.c)
  fake_library(fake_nvtx libnvtx3interop.so.1 ${fake_dir} ${emu}/fake_nvtx.c)
  target_link_libraries(fake_cublas PRIVATE fake_cuda)
  target_link_libraries(fake_cusolver PRIVATE fake_cuda)
  target_link_libraries(fake_cusolvermg PRIVATE fake_cuda)
  target_link_libraries(fake_nccl PRIVATE fake_cuda)
  set_source_files_properties(${emu}/kernels.cpp PROPERTIES OBJECT_DEPENDS
    "${kernel_unit};${kernel_sources};${kernel_headers}")

  # The programs that run on a GPU too, and one of the backend's own. no_fatbin.c: kernels that are
  # not the embedded ones.
  set(names)
  foreach(name unit_backend unit_trd unit_he2hb unit_hb2st unit_stedc unit_qr tester unit_cuda)
    set(files ${dir}/${name}.c)
    if(name STREQUAL "tester")
      set(files ${tester})
    elseif(name STREQUAL unit_cuda)
      set(files ${emu}/unit_cuda.c)
    endif()
    add_executable(emu_${name} ${files} ${emu}/no_fatbin.c)
    if(NOT name STREQUAL "tester")
      target_sources(emu_${name} PRIVATE ${helpers})
    endif()
    target_include_directories(emu_${name} PRIVATE ${emu})
    target_link_libraries(emu_${name} PRIVATE mla_tests mla_objects)
    add_dependencies(emu_${name} fake_cublas fake_cusolver fake_cusolvermg fake_nccl fake_nvtx)
    list(APPEND names emu_${name})
  endforeach()
  # The sanitizers see as much in fewer cases, which take them ten times longer.
  if(MLA_SANITIZE)
    set(sizes --type d,c --n 7,40 --nb 16)
    set(most --most 70 --stride 199)
    set(qr_stride 97)
    set(one_type --type c)
    set(two_types --type c)
  else()
    set(sizes --n 7,33,70 --nb 0,16)
    set(most --most 130 --stride 41)
    set(qr_stride 41)
    set(two_types --type dc)
  endif()
  add_test(NAME emu_unit_backend COMMAND emu_unit_backend --device cuda)
  add_test(NAME emu_tester COMMAND emu_tester potrf,posv,poinv,potri --device cuda --ranks 1,3
           ${sizes} --kind rand,indef:4)
  # Products from bfloat16 pieces: 16 bits, 8 bits.
  add_test(NAME emu_split COMMAND emu_tester potrf,posv --device cuda --type s,c --ranks 1,3 --n 70
           --nb 16 --precision high --tol 300)
  add_test(NAME emu_split_low COMMAND emu_tester posv --device cuda --type s,c --ranks 1,3 --n 70
           --nb 16 --precision low --tol 100000)
  # Ill-conditioned blocks, and wide enough for solves out of products.
  add_test(NAME emu_kernel COMMAND emu_tester potrf,posv --device cuda --type d,c --ranks 1 --n 700
           --nb 140 --kind kernel:2 --order natural)
  # The inverse of a triangle has to be as good as by substitution: see cuda_triangle.c.
  add_test(NAME emu_kernel_inverse COMMAND emu_tester poinv --device cuda --type d,c --ranks 1
           --n 200 --nb 0,128 --kind kernel:2 --tol 0.1)
  add_test(NAME emu_unit_trd COMMAND emu_unit_trd --device cuda --quick)
  add_test(NAME emu_unit_he2hb COMMAND emu_unit_he2hb --device cuda --quick ${one_type})
  add_test(NAME emu_unit_hb2st COMMAND emu_unit_hb2st --device cuda --quick ${two_types})
  add_test(NAME emu_unit_stedc COMMAND emu_unit_stedc --device cuda ${most})
  add_test(NAME emu_unit_qr COMMAND emu_unit_qr --device cuda --stride ${qr_stride})
  add_test(NAME emu_syevd COMMAND emu_tester syevd,syevj --device cuda --type d,c --ranks 1,3
           --n 3,35 --nb 0,7 --kind goe)
  add_test(NAME emu_lu COMMAND emu_tester getrf,gesv,geinv --device cuda --ranks 1,3 --n 1,35
           --nb 0,7 --kind general,zerocol:4,nangen:4)
  # Vendor's engines, with a device for each rank.
  if(MLA_SANITIZE)
    set(engine_sizes --type d,c --n 7 --nb 3 --ranks 1,3)
  else()
    set(engine_sizes --n 1,7,40 --nb 0,7 --ranks 1,2,3)
  endif()
  set(mg --device cuda --engine cusolvermg --ordinals 0,1,2,3)
  set(nccl --device cuda --comm nccl --ordinals 0,1,2,3)
  add_test(NAME emu_nccl COMMAND emu_tester potrf,posv,poinv,potri,syevd ${nccl} --type d,c
           --n 7,20 --nb 0,7 --ranks 1,3)
  add_executable(emu_unit_nccl ${emu}/unit_nccl.c ${emu}/no_fatbin.c)
  target_include_directories(emu_unit_nccl PRIVATE ${emu})
  target_link_libraries(emu_unit_nccl PRIVATE mla_tests mla_objects)
  add_dependencies(emu_unit_nccl fake_nccl)
  add_test(NAME emu_unit_nccl COMMAND emu_unit_nccl)
  add_executable(emu_unit_meeting_nccl ${dir}/unit_meeting.c ${helpers} ${emu}/no_fatbin.c)
  target_link_libraries(emu_unit_meeting_nccl PRIVATE mla_tests mla_objects)
  add_dependencies(emu_unit_meeting_nccl fake_nccl)
  add_test(NAME emu_unit_meeting_nccl COMMAND emu_unit_meeting_nccl nccl)
  set_tests_properties(emu_nccl emu_unit_nccl emu_unit_meeting_nccl PROPERTIES TIMEOUT 900
    ENVIRONMENT "${env};LD_LIBRARY_PATH=${fake_dir}")
  set_property(TEST emu_unit_nccl APPEND PROPERTY ENVIRONMENT FAKE_NCCL_SECONDS=0.2)
  add_test(NAME emu_cusolvermg COMMAND emu_tester potrf,posv,poinv,potri,syevd,syevj ${mg}
           ${engine_sizes})
  add_test(NAME emu_cusolvermg_shared COMMAND emu_tester posv,poinv,syevd ${mg} --ordinals 1,0,1
           --type d,c --n 33 --nb 4 --ranks 3 --pad 5)
  add_test(NAME emu_cusolvermg_sides COMMAND emu_tester posv ${mg} --n 30 --nb 4 --ranks 1,3
           --nrhs 0,2,1600 --type s,z)
  add_test(NAME emu_cusolvermg_copies COMMAND emu_tester posv ${mg} --n 30 --nb 4 --ranks 3,4
           --nrhs 2,1600 --type d,c --rhs replicated)
  add_test(NAME emu_cusolvermg_nan COMMAND emu_tester potrf,poinv,posv ${mg} --n 30 --nb 4
           --ranks 1,3 --kind indef:0,indef:-2,nan:0,nan:10 --order natural)
  add_test(NAME emu_cusolvermg_eigen COMMAND emu_tester syevd ${mg} --n 30 --nb 4 --ranks 1,3
           --kind nan:-1,zero,graded)
  set_tests_properties(emu_cusolvermg emu_cusolvermg_shared emu_cusolvermg_sides
    emu_cusolvermg_copies emu_cusolvermg_nan emu_cusolvermg_eigen PROPERTIES TIMEOUT 900 ENVIRONMENT "${env};LD_LIBRARY_PATH=${fake_dir}")
  set_tests_properties(emu_unit_backend emu_unit_trd emu_unit_he2hb emu_unit_hb2st
    emu_unit_stedc emu_unit_qr emu_tester emu_kernel emu_kernel_inverse emu_syevd emu_split emu_split_low emu_lu
    PROPERTIES TIMEOUT 900
    ENVIRONMENT "${env};LD_LIBRARY_PATH=${fake_dir}")
  target_compile_definitions(emu_unit_cuda PRIVATE FAKE_DIR="${fake_dir}")
  add_test(NAME emu_unit_cuda COMMAND emu_unit_cuda)
  set_tests_properties(emu_unit_cuda PROPERTIES TIMEOUT 900 ENVIRONMENT "${env}")
else()
  message(STATUS "CUDA backend without a GPU: not tested (no C++ compiler, or MLA_SANITIZE=thread)")
endif()
