# Short bytes objects, made in the memory of earlier ones that nobody has any more.
# in:  a pointer and a count
# out: a bytes object
# thread and GIL: with the GIL; a build without it makes every object anew
# next: message makes keys and values (docs/decisions/0010)
# Two objects of each size are kept. One whose only reference is ours cannot be seen by anybody, so it may change,
# as the tuple of zip() does. Two, because in `value = message.value()` the one before is held while the next is made.
cdef extern from *:
    """
    #define FK_SPARE_CLASSES 32                  /* of 16 bytes, as the allocator of small objects has them: to 512 */
    #define FK_SPARE_HEADER_BYTES ((Py_ssize_t)offsetof(PyBytesObject, ob_sval) + 1)
    #define FK_SPARE_BYTES_MAX (FK_SPARE_CLASSES * 16 - FK_SPARE_HEADER_BYTES)
    /* The sanitisers see a use after free only in what goes back to the allocator. */
    #if defined(Py_GIL_DISABLED) || defined(__SANITIZE_ADDRESS__)
    #define FK_SPARE_BYTES_MIN PY_SSIZE_T_MAX
    #else
    #define FK_SPARE_BYTES_MIN 2                 /* Python shares one object for each byte, and one for none */
    #endif
    typedef struct { PyObject* kept[2]; unsigned turn; } fk_spares;
    static fk_spares fk_spares_by_class[FK_SPARE_CLASSES];

    #pragma GCC diagnostic push
    #pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    static inline PyObject* fk_refill(PyObject* object, const char* data, Py_ssize_t bytes) {
        PyBytesObject* spare = (PyBytesObject*)object;
        memcpy(spare->ob_sval, data, (size_t)bytes);
        spare->ob_sval[bytes] = 0;
        Py_SET_SIZE(spare, bytes);
        spare->ob_shash = -1;                    /* not known: the old one is of what it was */
        Py_INCREF(object);
        return object;
    }
    #pragma GCC diagnostic pop
    static inline PyObject* fk_bytes(const char* data, Py_ssize_t bytes) {
        fk_spares* spares;
        PyObject** place;
        PyObject* made;
        Py_ssize_t size_class;
        if (bytes < FK_SPARE_BYTES_MIN || bytes > FK_SPARE_BYTES_MAX) return PyBytes_FromStringAndSize(data, bytes);
        size_class = (bytes + FK_SPARE_HEADER_BYTES - 1) / 16;
        spares = &fk_spares_by_class[size_class];
        place = &spares->kept[spares->turn ^= 1];
        if (*place != NULL && Py_REFCNT(*place) == 1) return fk_refill(*place, data, bytes);
        /* Room for the whole class, so that any count of it fits the next time. */
        made = PyBytes_FromStringAndSize(NULL, (size_class + 1) * 16 - FK_SPARE_HEADER_BYTES);
        if (made == NULL) return NULL;
        Py_XDECREF(*place);
        *place = made;
        return fk_refill(made, data, bytes);
    }
    """
    object bytes_of "fk_bytes" (const char* data, Py_ssize_t bytes)
