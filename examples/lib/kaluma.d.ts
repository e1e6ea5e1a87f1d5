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

declare const storage: { getItem(name: string): string | null };
declare const __netdev: { ip: string };
declare function millis(): number;
