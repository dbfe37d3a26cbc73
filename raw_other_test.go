//go:build !unix

package websocket

const rawSeams = false
