# SPDX-License-Identifier: Apache-2.0
# The CUDA kernels, src/backend/cuda/kernels/*.cu, as one fatbin that is embedded in the library.
#
#   1. MLA_KERNELS_FATBIN names a file     that file (wheels: made once, see ci/)
#   2. nvcc is found                       compiled here, for those of MLA_CUDA_ARCHITECTURES it knows
#   3. neither, or MLA_KERNELS=OFF         no kernels: the CUDA backend says so when it is asked for
#
# kernels_embed.c holds the bytes between two hidden symbols, in all three cases:
#
#   extern const unsigned char mlai_kernels_begin[], mlai_kernels_end[];
#
# Equal addresses mean a library built without kernels. They are weak: the tests that emulate the
# kernels have their own. A kernel file contains device code only.

set(MLA_KERNELS_FATBIN "" CACHE FILEPATH "Prebuilt fatbin of the CUDA kernels")
option(MLA_KERNELS "Compile the CUDA kernels if nvcc is found" ON)
set(MLA_CUDA_ARCHITECTURES 80 90 100 CACHE STRING
    "Architectures of the CUDA kernels, ascending; PTX of the first")

file(GLOB kernel_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/src/backend/cuda/kernels/*.cu)
file(GLOB kernel_headers CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/src/backend/cuda/kernels/*.cuh
     ${CMAKE_CURRENT_SOURCE_DIR}/src/backend/cuda/kernels/*.h)
find_program(NVCC_PROGRAM nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
set(kernel_dir ${CMAKE_CURRENT_BINARY_DIR}/kernels)
file(MAKE_DIRECTORY ${kernel_dir})
set(fatbin "")

# One translation unit that includes every .cu file: device code needs no linking.
set(kernel_unit ${kernel_dir}/kernels.cu)
set(unit "")
foreach(source ${kernel_sources})
  string(APPEND unit "#include \"${source}\"\n")
endforeach()
file(CONFIGURE OUTPUT ${kernel_unit} CONTENT "${unit}" @ONLY)

if(MLA_KERNELS_FATBIN)
  get_filename_component(fatbin "${MLA_KERNELS_FATBIN}" ABSOLUTE)
  if(NOT EXISTS ${fatbin})
    message(FATAL_ERROR "MLA_KERNELS_FATBIN: no file ${fatbin}")
  endif()
  message(STATUS "CUDA kernels: prebuilt ${fatbin}")
elseif(MLA_KERNELS AND kernel_sources AND NVCC_PROGRAM)
  execute_process(COMMAND ${NVCC_PROGRAM} --list-gpu-code OUTPUT_VARIABLE known ERROR_QUIET)
  set(gencode)
  set(architectures)
  foreach(arch ${MLA_CUDA_ARCHITECTURES})
    if(known MATCHES "sm_${arch}[^0-9a-z]")
      list(APPEND architectures ${arch})
      list(APPEND gencode -gencode=arch=compute_${arch},code=sm_${arch})
    endif()
  endforeach()
  if(NOT architectures)
    message(FATAL_ERROR "${NVCC_PROGRAM} knows none of sm ${MLA_CUDA_ARCHITECTURES}: set "
            "MLA_CUDA_ARCHITECTURES, or MLA_KERNELS=OFF")
  endif()
  list(GET architectures 0 first)
  list(APPEND gencode -gencode=arch=compute_${first},code=compute_${first})
  set(fatbin ${kernel_dir}/kernels.fatbin)
  add_custom_command(
    OUTPUT ${fatbin}
    COMMAND ${NVCC_PROGRAM} -fatbin -t 0 -O3 -std=c++17 ${gencode} -I${CMAKE_CURRENT_SOURCE_DIR}/include
            -I${CMAKE_CURRENT_SOURCE_DIR}/src -o ${fatbin} ${kernel_unit}
    DEPENDS ${kernel_sources} ${kernel_headers} ${kernel_unit}
    COMMENT "CUDA kernels" VERBATIM)
  message(STATUS "CUDA kernels: ${NVCC_PROGRAM}, sm ${architectures}")
else()
  message(STATUS "CUDA kernels: none (MLA_KERNELS is off, no sources, or no nvcc)")
endif()

set(incbin "\"\"")
if(fatbin)
  set(incbin "\".incbin \\\"${fatbin}\\\"\\n\"")
endif()
file(CONFIGURE OUTPUT ${kernel_dir}/kernels_embed.c @ONLY CONTENT [[
/* Written by cmake/kernels.cmake. */
__asm__(".section .rodata\n"
        ".balign 64\n"
        ".weak mlai_kernels_begin\n.hidden mlai_kernels_begin\nmlai_kernels_begin:\n"
        @incbin@
        ".weak mlai_kernels_end\n.hidden mlai_kernels_end\nmlai_kernels_end:\n"
        ".byte 0\n"
        ".previous\n");
]])
target_sources(mla_objects PRIVATE ${kernel_dir}/kernels_embed.c)
set_source_files_properties(${kernel_dir}/kernels_embed.c PROPERTIES OBJECT_DEPENDS "${fatbin}")
