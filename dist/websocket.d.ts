/**
 * WebSockets (RFC 6455) for ehttpserver, in the same generator style.
 *
 *     const server = new WebSocketServer();
 *     server.route('/echo', 'WEBSOCKET', function* (path, headers, ws) {
 *       for (let message; (message = yield* ws.recv()) !== null;) yield* ws.send(message);
 *     });
 *     server.listen(80);
 */
import { Handler, RequestHeaders, Server, ServerOptions } from './ehttpserver';
/** RFC 6455, section 5.2. */
declare const enum Opcode {
    CONTINUATION = 0,
    TEXT = 1,
    BINARY = 2,
    CLOSE = 8,
    PING = 9,
    PONG = 10
}
/** {@link Frame.opcode}: continues a message. */
export declare const WS_OPCODE_CONTINUATION = Opcode.CONTINUATION;
/** {@link Frame.opcode}: begins a text message (UTF-8). */
export declare const WS_OPCODE_TEXT = Opcode.TEXT;
/** {@link Frame.opcode}: begins a binary message. */
export declare const WS_OPCODE_BINARY = Opcode.BINARY;
/** {@link Frame.opcode}: closes the socket. */
export declare const WS_OPCODE_CLOSE = Opcode.CLOSE;
/** {@link Frame.opcode}: asks for a pong. */
export declare const WS_OPCODE_PING = Opcode.PING;
/** {@link Frame.opcode}: answers a ping. */
export declare const WS_OPCODE_PONG = Opcode.PONG;
/** A received frame, unmasked. */
export interface Frame {
    /** Whether this is the last frame of its message. */
    fin: boolean;
    /** One of the `WS_OPCODE_` numbers. */
    opcode: number;
    /** The bytes of the frame, at most maxMessageBytes. */
    payload: Uint8Array;
}
/** An iterator for `yield*`: it yields until it has its value. */
export interface Steps<T> {
    /** Runs one step: not done, or done with the value. */
    next(): IteratorResult<undefined, T>;
    /** Returns itself, for `yield*`. */
    [Symbol.iterator](): Steps<T>;
}
/** Limits and switches, in addition to those of {@link ServerOptions}. */
export interface WebSocketOptions extends ServerOptions {
    /** Ports after the first, 0 to 4. On stock firmware, each takes one WebSocket at a time. With 0, the first port takes one. Default 3. */
    sockets?: number;
    /** Most bytes of a received message (a larger one closes with 1009), and of output that waits (more drops the client). Default 16384. */
    maxMessageBytes?: number;
    /** Seconds between two pings. A client that does not answer two of them is dropped. 0: no pings. Default 20. */
    pingSeconds?: number;
    /** Origins that may connect in addition to the server's own, such as 'http://example.com', or '*' for all. Default none. */
    origins?: string[];
    /** Subprotocols. The first one that the client also offers is used. Default none. */
    protocols?: string[];
}
/**
 * Serves one WebSocket: a generator, an async function, or a function that sets {@link WebSocket.onmessage}. `this` is the server. When a
 * generator or an async function ends, the socket is closed with 1000. When any of them throws, it is closed with 1011.
 * @param path percent-decoded once, without the query
 * @param headers the headers of the handshake, with names in lower case
 * @param ws the socket
 * @param query raw, without the "?"
 * @param match the match of the route's regular expression: `match[1]` is its first group
 */
export type WebSocketHandler<S = any> = (this: S, path: string, headers: RequestHeaders, ws: WebSocket, query: string, match: string[]) => unknown;
/** A WebSocket, as its handler sees it. Defaults are on the prototype, so that an idle socket takes less memory. */
export declare class WebSocket {
    /** True once either side has sent a close frame, or the connection is lost. */
    closed: boolean;
    /** The close code of whoever closed first: 1005 if the client gave none, 1006 if the connection was lost, 0 while the socket is open. */
    closeCode: number;
    /** Bytes of output that wait to be sent. */
    bufferedAmount: number;
    /** If set, it is called with each whole message: text as a string, binary as a Uint8Array. */
    onmessage?: (data: string | Uint8Array) => void;
    /** If set, it is called once when the socket is closed, with {@link closeCode}. */
    onclose?: (code: number) => void;
    /** Use `yield*`. Gives the next whole message, as a string or a Uint8Array, or null once the socket is closed. */
    recv(): Steps<string | Uint8Array | null>;
    /**
     * Use `yield*`. Gives the next frame, unmasked, or null once the socket is closed. From the first call on, the program gets every frame and
     * handles pings, fragments and closing itself.
     */
    recvFrame(): Steps<Frame | null>;
    /**
     * Queues a message at once. On a closed socket, it does nothing.
     * @param data a string is sent as text, a Uint8Array (no other buffer) as binary, any other value as JSON text
     * @returns an iterator that ends when all of the message is sent. `yield*` it for backpressure, or ignore it
     */
    send(data: string | Uint8Array | object | number | boolean | null): Steps<true>;
    /** See {@link send}. */
    sendText(text: string): Steps<true>;
    /** See {@link send}. */
    sendBinary(bytes: Uint8Array): Steps<true>;
    /**
     * See {@link send}.
     * @param bytes at most 125. Default none
     * @throws Error when there are more than 125
     */
    sendPing(bytes?: Uint8Array): Steps<true>;
    /** Like {@link sendPing}. Only needed with {@link recvFrame}: otherwise pings are answered automatically. */
    sendPong(bytes?: Uint8Array): Steps<true>;
    /**
     * Closes the socket: RFC 6455, section 7. The close frame follows what was queued before.
     * @param code the close code. Default 1000
     * @param reason at most 123 bytes as UTF-8. Default none
     * @returns an iterator that ends at once
     * @throws Error when the reason is longer, or the code must not be sent: RFC 6455, section 7.4
     */
    sendClose(code?: number, reason?: string): Steps<true>;
}
/** A {@link Server} that also has routes with the method 'WEBSOCKET' and a {@link WebSocketHandler}. */
export interface WebSocketServer extends Server {
    /**
     * Adds a handler for WebSockets to this server only.
     * @param path a regular expression; a string must match the whole path
     * @param method 'WEBSOCKET'
     * @param handler see {@link WebSocketHandler}
     * @returns this
     */
    route(path: string | RegExp, method: 'WEBSOCKET', handler: WebSocketHandler<this>): this;
    /** See {@link Server.route}. */
    route(path: string | RegExp, method: string, handler: Handler<this>): this;
}
export declare const WebSocketServer: new (options?: WebSocketOptions) => WebSocketServer;
export {};
