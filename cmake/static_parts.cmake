# What is called for every message is linked into the server itself: through shared libraries each call
# and each thread-local variable takes a detour, a tenth of the CPU of a SendMessage. Other programs (tests)
# link the shared libraries, which is quicker. A program asks for it by the property MAYFLY_STATIC_PARTS.

# mayfly_static_part(NAME SHARED lib... STATIC file...): a library to link, by its shared or static name.
function(mayfly_static_part name)
  cmake_parse_arguments(PART "" "" "SHARED;STATIC" ${ARGN})
  add_library(${name} INTERFACE)
  set(archives "")
  foreach(archive ${PART_STATIC})
    find_library(MAYFLY_ARCHIVE_${archive} ${archive} REQUIRED)
    list(APPEND archives ${MAYFLY_ARCHIVE_${archive}})
  endforeach()
  target_link_libraries(${name} INTERFACE
    "$<IF:$<BOOL:$<TARGET_PROPERTY:MAYFLY_STATIC_PARTS>>,${archives},${PART_SHARED}>")
endfunction()

mayfly_static_part(mayfly_rocksdb SHARED ${ROCKSDB_LIBRARY}
  STATIC librocksdb.a libsnappy.a libbz2.a liblz4.a libzstd.a libz.a)
mayfly_static_part(mayfly_json SHARED Boost::json STATIC libboost_json.a libboost_container.a)
target_link_libraries(mayfly_json INTERFACE Boost::headers)
