// The part of Kaluma that the examples use.
declare module 'wifi' {
  type Done = (error?: unknown, connection?: { ssid: string }) => void;
  export class WiFi {
    connect(done: Done): void;
    getConnection(done: Done): void;
    wifiApMode(done: Done): void;
  }
}

declare module 'pico_cyw43' {
  export class PicoCYW43 {
    getGpio(pin: number): boolean;
    putGpio(pin: number, value: boolean): void;
  }
}

declare module 'fs' {
  export function exists(path: string): boolean;
  export function stat(path: string): { size: number };
  export function mkdir(path: string): void;
  export function readdir(path: string): string[];
  export function open(path: string, flags: string): number;
  export function write(fd: number, data: Uint8Array): number;
  export function close(fd: number): void;
  export function unlink(path: string): void;
}

declare const storage: {
  getItem(name: string): string | null;
  setItem(name: string, value: string): void;
};
declare const __netdev: { ip: string };
declare function millis(): number;
declare function analogRead(pin: number): number;
