# What is told to the fetcher: where the application wants to read, and the offsets that the control thread has found.
# in:  a PositionWish; the answers to offset_wanted and validation_wanted
# out: submissions, applied on the I/O thread
# thread and GIL: making them on any thread, applying on the I/O thread; no GIL
# next: fetcher
from libc.stdio cimport snprintf
from libc.stdlib cimport free
from fastkafka._core.fetched_records cimport EVENT_TEXT_BYTES
from fastkafka._core.fetch_validation cimport validation_answered
from fastkafka._core.fetcher cimport fetcher_apply, fetcher_offset_failed, fetcher_offset_found
from fastkafka._core.submissions cimport submission_new

cdef struct WishSubmission:
    Submission submission
    PositionWish wish

cdef struct OffsetSubmission:             # the control thread's answer to offset_wanted
    Submission submission
    FetchPosition* position
    int32_t fetch_generation
    int64_t offset
    int32_t leader_epoch
    int32_t error_code
    char text[EVENT_TEXT_BYTES]

cdef struct EpochEndSubmission:           # the control thread's answer to validation_wanted
    Submission submission
    FetchPosition* position
    int32_t fetch_generation
    int32_t current_leader_epoch
    int64_t end_offset
    int32_t leader_epoch
    int32_t error_code


cdef void _apply_wish(Submission* submission, void* owner) noexcept nogil:
    fetcher_apply(<Fetcher*>submission.subject, &(<WishSubmission*>submission).wish)
    free(submission)


cdef void _apply_offset(Submission* submission, void* owner) noexcept nogil:
    cdef OffsetSubmission* whole = <OffsetSubmission*>submission
    if whole.error_code != 0:
        fetcher_offset_failed(<Fetcher*>submission.subject, whole.position, whole.fetch_generation,
                              whole.error_code, whole.text)
    else:
        fetcher_offset_found(<Fetcher*>submission.subject, whole.position, whole.fetch_generation,
                             whole.offset, whole.leader_epoch)
    free(whole)


cdef Submission* wish_submission_new(Fetcher* fetcher, const PositionWish* wish) noexcept nogil:
    """Return what tells the fetcher a wish; NULL without memory."""
    cdef WishSubmission* whole = <WishSubmission*>submission_new(_apply_wish, sizeof(WishSubmission))
    if whole == NULL:
        return NULL
    whole.submission.subject = fetcher
    whole.wish = wish[0]
    return &whole.submission


cdef Submission* offset_submission_new(Fetcher* fetcher, FetchPosition* position, int32_t fetch_generation, int64_t offset,
                                       int32_t leader_epoch, int32_t error_code, const char* text) noexcept nogil:
    """Return what tells the fetcher an offset or, with an error code, why there is none; NULL without memory."""
    cdef OffsetSubmission* whole = <OffsetSubmission*>submission_new(_apply_offset, sizeof(OffsetSubmission))
    if whole == NULL:
        return NULL
    whole.submission.subject = fetcher
    whole.position = position
    whole.fetch_generation = fetch_generation
    whole.offset = offset
    whole.leader_epoch = leader_epoch
    whole.error_code = error_code
    snprintf(whole.text, sizeof(whole.text), "%s", text)
    return &whole.submission


cdef void _apply_epoch_end(Submission* submission, void* owner) noexcept nogil:
    cdef EpochEndSubmission* whole = <EpochEndSubmission*>submission
    validation_answered(<Fetcher*>submission.subject, whole.position, whole.fetch_generation,
                        whole.current_leader_epoch, whole.end_offset, whole.leader_epoch, whole.error_code)
    free(whole)


cdef Submission* epoch_end_submission_new(Fetcher* fetcher, FetchPosition* position, int32_t fetch_generation,
                                          int32_t current_leader_epoch, int64_t end_offset, int32_t leader_epoch,
                                          int32_t error_code) noexcept nogil:
    """Return what tells the fetcher where a leader epoch ends; NULL without memory."""
    cdef EpochEndSubmission* whole = <EpochEndSubmission*>submission_new(_apply_epoch_end, sizeof(EpochEndSubmission))
    if whole == NULL:
        return NULL
    whole.submission.subject = fetcher
    whole.position = position
    whole.fetch_generation = fetch_generation
    whole.current_leader_epoch = current_leader_epoch
    whole.end_offset = end_offset
    whole.leader_epoch = leader_epoch
    whole.error_code = error_code
    return &whole.submission

include "faces/fetch_wishes.pxi"
