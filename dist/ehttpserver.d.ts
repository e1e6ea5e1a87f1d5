/**
 * ehttpserver: a non-blocking HTTP/1.1 server for Kaluma on the Raspberry Pi Pico W.
 *
 *     const server = new Server();
 *     server.route('/hello/(.*)', 'GET', (path, query, headers, body, match) => 'Hello ' + match[1]);
 *     server.listen(80);
 *
 * A handler returns text, bytes, an object (sent as JSON), a {@link Response} or a {@link FileResponse}. A handler that takes its time is a
 * generator or an async function, and blocks nobody. The server is an iterator, too: {@link run} steps it beside the program's own generators.
 */
/** Request headers: lower-case names; repeated ones joined with ", ". It has no prototype: every name is just a name. */
export type RequestHeaders = {
    [name: string]: string;
};
/** Pieces of a streamed body; `undefined` means "nothing yet, ask again at the next step". */
export type BodyIterator = Iterator<string | Uint8Array | undefined>;
/** What a handler may answer: a Response, text (text/plain), bytes, any other value as JSON, or nothing (204). */
export type Reply = Response | string | Uint8Array | object | number | boolean | null | undefined | void;
/**
 * Answers one request; called with the server as `this`.
 * @param path percent-decoded once, without the query
 * @param query raw, without the "?"; see {@link urlDecode}
 * @param headers of the request, names in lower case
 * @param body of the request, whole
 * @param match of the route's regular expression: `match[1]` is its first group
 * @returns the reply; or an iterator (a generator) that is stepped until it returns the reply; or a promise of it (an async function)
 * @throws anything: it goes to {@link Server.debug}, and is answered with 500
 */
export type Handler<S = any> = (this: S, path: string, query: string, headers: RequestHeaders, body: Uint8Array, match: string[]) => Reply | Iterator<unknown, Reply> | PromiseLike<Reply>;
/** What `__netdev.get(fd)` gives: the driver calls what is set on it. */
export interface NetdevSocket {
    /** A client has connected. */
    accept_cb?: (fd: number) => void;
    /** Bytes came; on stock firmware to the listening socket, whosever they are. */
    read_cb?: (data: Uint8Array) => void;
    /** The socket is closed. */
    close_cb?: () => void;
}
/** Kaluma's network device driver, `global.__netdev`. Calls complete at once; `errno` is 0 or -1 after each. */
export interface Netdev {
    /** Of the last call: 0, or -1 when it failed. */
    errno: number;
    /** The board's address. */
    ip: string;
    /** A new socket's number (fd); throws when there is none, or no Wi-Fi. */
    socket(domain: string, protocol: string): number;
    /** Where to set a socket's callbacks. */
    get(fd: number): NetdevSocket;
    /** Gives a socket its port; 0 for any. */
    bind(fd: number, address: string, port: number): void;
    /** Lets clients connect. */
    listen(fd: number): void;
    /** Sends one byte per character: all of them or none. */
    write(fd: number, data: string): void;
    /** Ends receiving (0) or sending (1). */
    shutdown(fd: number, how: number): void;
    /** Ends a socket; its number is free at once. */
    close(fd: number): void;
}
/** Limits and switches. What a client can make the server hold is bounded by these limits alone. */
export interface ServerOptions {
    /** Characters of the request line; above it 414. Default 2048. */
    maxRequestLineSize?: number;
    /** Header fields; above it 431. Default 50. */
    maxHeaderCount?: number;
    /** Bytes of all header lines; above it 431. Default 4096. */
    maxHeaderBytes?: number;
    /** Bytes of the request body; above it 413. Default 16384. */
    maxBodyBytes?: number;
    /** Seconds for a request from its first byte to its last (else 408), and for an answer without progress (else it ends). Default 10. */
    requestTimeoutSeconds?: number;
    /** Connections served at a time; above it 503. Streams and WebSockets take at most one less. Default 5, all that lwIP has, less `reserve`. */
    maxParallelConnections?: number;
    /** lwIP's connections (PCBs) to leave alone for the program's own outgoing ones. Default 0. */
    reserve?: number;
    /** Print requests, too, not only errors; and tell clients why a handler failed. Default false. */
    debug?: boolean;
    /** The network driver. Default `global.__netdev`. */
    netdev?: Netdev;
}
/**
 * Bytes as text.
 * @param bytes UTF-8
 * @returns the text, or null when the bytes are not valid UTF-8 (RFC 3629)
 */
export declare function text(bytes: Uint8Array): string | null;
/**
 * Decodes a part of a query or of a form (`application/x-www-form-urlencoded`): %XX, and + for a space.
 * @param text the part between "&" and "=", as it came
 * @returns the text, or null when it is malformed: "%" without two hex digits, or bytes that are not UTF-8
 */
export declare function urlDecode(text: string): string | null;
/** An answer to a request. */
export declare class Response {
    /** What is sent. */
    body: string | Uint8Array | BodyIterator;
    /** RFC 9110, section 15. */
    status: number;
    /** Of the body, without the charset that is added. */
    contentType: string;
    /** More headers than those of the body. */
    headers: {
        [name: string]: string | number;
    };
    /**
     * @param body text (sent as UTF-8), bytes, an iterator of both that is sent as it comes and ended by closing, or any other
     *   value, sent as JSON. Default ''
     * @param status RFC 9110, section 15. Default 200
     * @param contentType default 'text/plain', for JSON 'application/json'; "; charset=utf-8" is added to a text type, and to whatever
     *   is sent from a string or as JSON, unless it has a parameter
     * @param headers more of them; a content-type among them is sent instead of contentType. Default none
     * @throws Error when a header has a line break, another control character, or a character above U+00FF (checked again when the
     *   response goes out), or the status has not three digits; TypeError for what cannot be JSON
     */
    constructor(body?: unknown, status?: number, contentType?: string, headers?: {
        [name: string]: string | number;
    });
}
/**
 * An answer with a file. NAME.gz goes out in its place where it exists and the client accepts gzip. 404 when there is no such
 * file, or a segment of the path is "..".
 * @param path in the board's file system
 * @param headers more headers, such as cache-control. Default none
 * @param contentType default: by the extension, else 'application/octet-stream'
 * @param bufferSize bytes read at a step. Default 1024
 */
export declare const FileResponse: new (path: string, headers?: {
    [name: string]: string | number;
}, contentType?: string, bufferSize?: number) => Response;
/**
 * The web server. Subclass it and mark methods with {@link route}, or add handlers with {@link Server.route}; then give
 * {@link Server.start} to {@link run}, or call {@link Server.listen}.
 */
export declare class Server {
    private _routes?;
    /**
     * @param options limits and switches; see there for the defaults
     * @throws Error for an option that does not exist
     */
    constructor(options?: ServerOptions);
    /**
     * Adds a handler, to this server only. The first route that fits answers; GET routes answer HEAD, too.
     * @param path a regular expression; text is anchored at both ends
     * @param method 'GET', 'POST', ... (case matters, as in HTTP)
     * @param handler see {@link Handler}
     * @returns this
     * @throws Error that names the route, when the method is not in capitals, or the handler is no function
     */
    route(path: string | RegExp, method: string, handler: Handler<this>): this;
    /**
     * The server as a generator: every `next()` is one bounded step, never longer than your handlers are.
     * @param port to listen on. Default 80
     * @returns the iterator: this server itself
     * @throws Error with the port, when it is in use, no socket is left, or Wi-Fi is not connected; Error when this server listens already
     */
    start(port?: number): Iterator<undefined>;
    /** One bounded step of the server, once {@link Server.start} was called. */
    next(): IteratorResult<undefined>;
    /**
     * {@link Server.start}, driven by the event loop.
     * @param port to listen on. Default 80
     * @param ready called when the server listens
     * @returns this
     * @throws Error as start() does
     */
    listen(port?: number, ready?: () => void): this;
    /** Ends this server's connections and stops listening. */
    close(): void;
    /**
     * Prints on the console; override it to log elsewhere. It is called for errors and, with options.debug, for requests.
     * @param message what was thrown; or a request's method, path and status
     */
    debug(message: unknown): void;
}
/** What {@link route} gives: a decorator, legacy or standard, for methods with the signature of a {@link Handler}. */
export interface RouteDecorator {
    /** Legacy decorators: the class's prototype. */
    <T extends Handler>(target: object, name: string | symbol, descriptor: TypedPropertyDescriptor<T>): void;
    /** Standard decorators: the method. */
    (target: Handler, context: {
        addInitializer(initializer: (this: any) => void): void;
    }): void;
}
/**
 * Decorator for methods of a {@link Server} subclass: makes the method the handler of a route.
 * @param path a regular expression; text is anchored at both ends
 * @param method 'GET', 'POST', ... Default 'GET'; for 'WEBSOCKET' the method is a WebSocketHandler
 */
export declare function route(path: string | RegExp, method: 'WEBSOCKET'): (target: any, name: any) => void;
export declare function route(path: string | RegExp, method?: string): RouteDecorator;
/**
 * Steps iterators side by side from the event loop, until each is done: what asyncio.gather is in Python. One that
 * throws is reported on the console and dropped.
 */
export declare function run(...iterators: Iterator<unknown>[]): void;
