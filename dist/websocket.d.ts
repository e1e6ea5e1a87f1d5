/**
 * WebSockets (RFC 6455) for ehttpserver, in the same generator style.
 * The file reads top to bottom in the order in which data flows: upgrade, the socket (whose methods name what follows), frames in,
 * messages, handler, frames out, closing.
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
/** {@link Frame.opcode}: more of a message that has begun. */
export declare const WS_OPCODE_CONTINUATION = Opcode.CONTINUATION;
/** {@link Frame.opcode}: begins a message that is UTF-8. */
export declare const WS_OPCODE_TEXT = Opcode.TEXT;
/** {@link Frame.opcode}: begins a message of bytes. */
export declare const WS_OPCODE_BINARY = Opcode.BINARY;
/** {@link Frame.opcode}: closes. */
export declare const WS_OPCODE_CLOSE = Opcode.CLOSE;
/** {@link Frame.opcode}: asks for a pong. */
export declare const WS_OPCODE_PING = Opcode.PING;
/** {@link Frame.opcode}: answers a ping. */
export declare const WS_OPCODE_PONG = Opcode.PONG;
/** A frame as it came, unmasked. */
export interface Frame {
    /** The last one of its message. */
    fin: boolean;
    /** One of the `WS_OPCODE_` numbers. */
    opcode: number;
    /** Its bytes. */
    payload: Uint8Array;
}
/** For `yield*`: yields until it has its value. */
export interface Steps<T> {
    /** One step: not done, or done with the value. */
    next(): IteratorResult<undefined, T>;
    /** Itself, for `yield*`. */
    [Symbol.iterator](): Steps<T>;
}
/** Limits and switches beside those of {@link ServerOptions}. */
export interface WebSocketOptions extends ServerOptions {
    /** Ports behind the first one, each for one WebSocket at a time on stock firmware: 0 to 4. Default 3. With 0 the first port takes one. */
    sockets?: number;
    /** Bytes of one message in, and of all that waits to go out; above it close 1009, or the client is dropped. Default 16384. */
    maxMessageBytes?: number;
    /** Seconds between two pings; a client that leaves two unanswered is dropped. 0: none. Default 20. */
    pingSeconds?: number;
    /** Origins that may connect beside the server's own, such as 'http://example.com'; '*' for all. Default none. */
    origins?: string[];
    /** Subprotocols; the first one that the client offers, too, is taken. Default none. */
    protocols?: string[];
}
/**
 * Serves one WebSocket; called with the server as `this`: a generator, or a function that sets {@link WebSocket.onmessage}.
 * When the generator (or an async function) ends the socket is closed with 1000; when it, or the function, throws, with 1011.
 * @param path percent-decoded once, without the query
 * @param headers of the handshake, names in lower case
 * @param ws the socket
 * @param query raw, without the "?"
 * @param match of the route's regular expression: `match[1]` is its first group
 */
export type WebSocketHandler<S = any> = (this: S, path: string, headers: RequestHeaders, ws: WebSocket, query: string, match: string[]) => unknown;
/** One WebSocket, as its handler sees it. What has a default is on the prototype: an idle socket takes less memory so. */
export declare class WebSocket {
    /** True once a close frame went either way, or the connection is lost. */
    closed: boolean;
    /** Why: the client's close code (1005 if it gave none), or ours if we were first; 1006 if the connection was lost; 0 while open. */
    closeCode: number;
    /** Bytes that wait to go out. */
    bufferedAmount: number;
    /** Called with every whole message, if set: text as a string, binary as a Uint8Array. */
    onmessage?: (data: string | Uint8Array) => void;
    /** Called once, when the socket is closed, with {@link closeCode}. */
    onclose?: (code: number) => void;
    /** `yield*` it: the next whole message, a string or a Uint8Array; null once the socket is closed. */
    recv(): Steps<string | Uint8Array | null>;
    /**
     * `yield*` it: the next frame, unmasked, or null once the socket is closed. From the first call on, the program sees all frames
     * and does the protocol itself, pings, fragments and closing included.
     */
    recvFrame(): Steps<Frame | null>;
    /**
     * Queues a message at once; once the socket is closed, it is dropped.
     * @param data a string goes out as text, a Uint8Array (no other buffer) as binary, any other value as JSON text
     * @returns an iterator that ends when all of it is out: `yield*` it to keep pace with the client, or leave it
     */
    send(data: string | Uint8Array | object | number | boolean | null): Steps<true>;
    /** See {@link send}. */
    sendText(text: string): Steps<true>;
    /** See {@link send}. */
    sendBinary(bytes: Uint8Array): Steps<true>;
    /**
     * See {@link send}.
     * @param bytes at most 125, default none
     * @throws Error when there are more
     */
    sendPing(bytes?: Uint8Array): Steps<true>;
    /** As {@link sendPing}. Needed only with {@link recvFrame}: else pings are answered by themselves. */
    sendPong(bytes?: Uint8Array): Steps<true>;
    /**
     * Closes the socket: RFC 6455, section 7.
     * @param code default 1000
     * @param reason at most 123 bytes as UTF-8. Default none
     * @returns an iterator that ends at once: the close frame follows what was queued before
     * @throws Error when the reason is longer, or the code is none that may be sent: RFC 6455, section 7.4
     */
    sendClose(code?: number, reason?: string): Steps<true>;
}
/** A {@link Server} whose routes may have the method 'WEBSOCKET', with a {@link WebSocketHandler}. */
export interface WebSocketServer extends Server {
    /**
     * Adds a handler of WebSockets, to this server only.
     * @param path a regular expression; text is anchored at both ends
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
