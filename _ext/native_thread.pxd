# Native threads: started with every signal blocked, named, joined before their memory goes.
# in:  what the thread runs and what it runs on
# out: a pthread_t, as a number
# thread and GIL: any; a native thread never takes the GIL
# next: event_loop has one per client, batch_compression some when there are cores to spare

cdef extern from * nogil:
    """
    #include <pthread.h>
    #include <signal.h>
    static int fk_thread_start(unsigned long* thread, void* (*main)(void*), void* argument, const char* name) {
        /* The thread inherits a mask that blocks everything: signals belong to Python's main thread. */
        sigset_t all, before;
        pthread_t started;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        int status = pthread_create(&started, NULL, main, argument);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (status == 0) { *thread = (unsigned long)started; pthread_setname_np(started, name); }
        return status;
    }
    static void fk_thread_join(unsigned long thread) { pthread_join((pthread_t)thread, NULL); }
    """
    int thread_start "fk_thread_start" (unsigned long* thread, void* (*main)(void*) noexcept nogil, void* argument,
                                        const char* name)
    void thread_join "fk_thread_join" (unsigned long thread)
