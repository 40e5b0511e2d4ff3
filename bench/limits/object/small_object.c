/* The object that dlopen.c opens: one function, one table that must be relocated, as the smallest program of a server has. */

int small_object_answer(int question);

int (*const small_object_table[])(int) = {small_object_answer};

int small_object_answer(int question)
{
    return question + 1;
}
