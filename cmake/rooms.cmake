# One static library per room of src/. A room names the rooms it may use; tools/check_rooms.py holds
# the same order for includes. Sources are found by glob: adding a file needs no change here.

function(mayfly_room name)
  cmake_parse_arguments(ROOM "" "" "LINK" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cc)
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
  string(REPLACE "/" "_" target "mayfly_${name}")
  if(sources)
    add_library(${target} STATIC ${sources})
    target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${target} PUBLIC ${ROOM_LINK})
    # What several files instantiate of Asio and the standard library is compiled once for each
    # batch. Names in unnamed namespaces have to differ within a room.
    set_target_properties(${target} PROPERTIES UNITY_BUILD ${MAYFLY_UNITY} UNITY_BUILD_BATCH_SIZE 8)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      # For a batch, types of unnamed namespaces seem to be those of a header.
      target_compile_options(${target} PRIVATE -Wno-subobject-linkage)
    endif()
  else()
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${target} INTERFACE ${ROOM_LINK})
  endif()
endfunction()

# Rooms that use Asio share one precompiled header, made once: it is most of their compile time. All
# of them link mayfly_json and Boost::url, since a header fits only where the same macros are set.
function(mayfly_asio_pch name)
  get_target_property(type mayfly_${name} TYPE)
  if(NOT type STREQUAL "STATIC_LIBRARY")
    return()
  endif()
  target_link_libraries(mayfly_${name} PUBLIC mayfly_json Boost::url)
  if(name STREQUAL "io")
    target_precompile_headers(mayfly_io PRIVATE
      <boost/asio.hpp> <boost/json.hpp> <fmt/format.h> <string> <vector> <memory> <unordered_map>
      <functional> <map> <set> <deque> <list> <charconv> <span>)
  else()
    target_precompile_headers(mayfly_${name} REUSE_FROM mayfly_io)
  endif()
endfunction()

# What of Asio is no template is compiled once, in io/asio.cc.
add_compile_definitions(BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_DISABLE_BOOST_COROUTINE
                        BOOST_ASIO_SEPARATE_COMPILATION SPDLOG_FMT_EXTERNAL)

mayfly_room(base LINK Boost::headers fmt::fmt spdlog::spdlog OpenSSL::Crypto)
mayfly_room(os LINK mayfly_base PkgConfig::SECCOMP)
mayfly_room(wire LINK mayfly_base mayfly_json)
mayfly_room(io LINK mayfly_os mayfly_wire Boost::headers Threads::Threads OpenSSL::SSL)
mayfly_room(store LINK mayfly_io mayfly_rocksdb)
find_package(prometheus-cpp CONFIG REQUIRED)
mayfly_room(telemetry LINK mayfly_store mayfly_io mayfly_json prometheus-cpp::core)
mayfly_room(sandbox LINK mayfly_io mayfly_wire mayfly_os)
mayfly_room(functions LINK mayfly_telemetry mayfly_sandbox PkgConfig::ARCHIVE yaml-cpp
            ${RE2_LIBRARY} OpenSSL::Crypto mayfly_json)
mayfly_room(engine LINK mayfly_functions mayfly_sandbox mayfly_telemetry)
mayfly_room(simulation LINK mayfly_engine)
mayfly_room(queues LINK mayfly_store mayfly_io OpenSSL::Crypto)
mayfly_room(tables LINK mayfly_store mayfly_io)
mayfly_room(identity LINK mayfly_store mayfly_io OpenSSL::Crypto)
mayfly_room(buckets LINK mayfly_functions mayfly_store mayfly_io OpenSSL::Crypto)
mayfly_room(triggers LINK mayfly_engine mayfly_queues mayfly_tables mayfly_json)
mayfly_room(gateway LINK mayfly_engine mayfly_triggers mayfly_identity Boost::url mayfly_json)
mayfly_room(aws LINK mayfly_identity mayfly_io mayfly_wire OpenSSL::Crypto mayfly_json
            PkgConfig::EXPAT)
mayfly_room(dialects LINK mayfly_gateway mayfly_engine mayfly_triggers mayfly_buckets
            mayfly_aws Boost::url mayfly_json)
mayfly_room(server LINK mayfly_dialects yaml-cpp)
mayfly_room(cli LINK mayfly_io mayfly_functions mayfly_simulation mayfly_json Boost::url)
foreach(room io store telemetry sandbox functions engine queues tables identity buckets triggers
             gateway aws dialects server cli)
  mayfly_asio_pch(${room})
endforeach()

# Nearly all of its files include the parser of command lines, which is a header: compiled once.
set_target_properties(mayfly_cli PROPERTIES UNITY_BUILD_BATCH_SIZE 0)

# The spawner links nothing of Asio or RocksDB, and starts no thread.
mayfly_room(spawner LINK mayfly_os mayfly_wire)
# Its forks are on the path of every start: a program without shared libraries has a sixth of the mappings to
# copy. Of the rooms above it takes the files that it needs, not the libraries that the others need.
find_library(SECCOMP_ARCHIVE NAMES libseccomp.a)
if(EXISTS ${CMAKE_SOURCE_DIR}/src/spawner/main.cc)
  add_executable(mayfly-spawner ${CMAKE_SOURCE_DIR}/src/spawner/main.cc)
  if(MAYFLY_SANITIZE OR NOT SECCOMP_ARCHIVE)
    target_link_libraries(mayfly-spawner PRIVATE mayfly_spawner)
  else()
    target_sources(mayfly-spawner PRIVATE ${CMAKE_SOURCE_DIR}/src/wire/spawner_messages.cc
      ${CMAKE_SOURCE_DIR}/src/base/result.cc)
    target_include_directories(mayfly-spawner PRIVATE ${CMAKE_SOURCE_DIR}/src)
    target_compile_options(mayfly-spawner PRIVATE -fPIE)
    add_dependencies(mayfly-spawner mayfly_spawner mayfly_os)
    set_property(TARGET mayfly-spawner APPEND PROPERTY LINK_DEPENDS
      $<TARGET_FILE:mayfly_spawner> $<TARGET_FILE:mayfly_os>)
    target_link_libraries(mayfly-spawner PRIVATE $<TARGET_FILE:mayfly_spawner>
      $<TARGET_FILE:mayfly_os> ${SECCOMP_ARCHIVE})
    target_link_options(mayfly-spawner PRIVATE -static-pie LINKER:-z,now)
  endif()
endif()
if(EXISTS ${CMAKE_SOURCE_DIR}/src/server/main.cc)
  add_executable(mayfly ${CMAKE_SOURCE_DIR}/src/server/main.cc)
  target_link_libraries(mayfly PRIVATE mayfly_server mayfly_cli)
  target_compile_definitions(mayfly PRIVATE MAYFLY_VERSION="${PROJECT_VERSION}")
  if(NOT MAYFLY_SANITIZE)  # which brings its own allocator
    set_target_properties(mayfly PROPERTIES MAYFLY_STATIC_PARTS ON)
    if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")  # src/store/wal_checksum.cc
      target_link_options(mayfly PRIVATE LINKER:--wrap=_ZN7rocksdb6crc32c6ExtendEjPKcm)
    endif()
    find_library(TCMALLOC_LIBRARY NAMES tcmalloc_minimal libtcmalloc_minimal.so.4 REQUIRED)
    target_link_libraries(mayfly PRIVATE ${TCMALLOC_LIBRARY})
  endif()
endif()
