// Package deflate is the codec of permessage-deflate (RFC 7692): DEFLATE (RFC
// 1951) of whole messages, in memory, with any window of 2^8 to 2^15 bytes.
//
// It is made for what general codecs are not: messages of a few hundred bytes, of
// which each begins with a fresh decoder and most of the time goes into building
// Huffman tables; a context that is kept between messages at the memory of its
// window and no more; a limit on a message's size that is exact and costs nothing,
// because it is the end of the output's memory; and streams made to cost much and
// produce nothing. The scratch memory is pooled, so that an idle connection has
// nothing but its contexts, if any.
//
// Nothing here allocates per message, does I/O or panics on any input. No value is
// safe for concurrent use; the functions are.
package deflate
