# Programs in files of their own, and who loads them: see docs/load.md.

# ant_add_program(NAME SOURCE...): NAME.so, for ant_program_load. It is not linked with libant: its calls go to the libant of the program that loads it.
function(ant_add_program name)
    add_library(${name} MODULE ${ARGN})
    set_target_properties(${name} PROPERTIES PREFIX "" C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden)
    target_include_directories(${name} PRIVATE $<TARGET_PROPERTY:ant::ant,INTERFACE_INCLUDE_DIRECTORIES>)
    # An object with a unique symbol (of an inline variable, or a template) is never unloaded.
    target_compile_options(${name} PRIVATE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-gnu-unique>)
endfunction()

# ant_link_for_programs(TARGET): links an executable statically with libant, all of it, and shows that to the programs it loads. With the shared library there is nothing to do.
function(ant_link_for_programs target)
    set_target_properties(${target} PROPERTIES ENABLE_EXPORTS ON)
    target_link_options(${target} PRIVATE
        LINKER:--whole-archive $<TARGET_FILE:ant::ant_static> LINKER:--no-whole-archive)
    target_link_libraries(${target} PRIVATE ant::ant_static)
endfunction()
