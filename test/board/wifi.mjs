// `require('wifi')`. On the board every call blocks until it is done, so callbacks run before it returns; what they throw nobody sees, as it
// is the driver that calls them.
import { EventEmitter } from './events.mjs';

const AP_IP = '192.168.4.1';

export class Wifi {
  /**
   * @param {object} options
   * @param {boolean} options.connected
   * @param {string} options.ip the address that the board gets
   * @param {ReturnType<import('./storage.mjs').makeStorage>} options.storage
   * @param {import('./rules.mjs').Rules} options.rules
   */
  constructor({ connected, ip, storage, rules }) {
    this.stationIp = ip;
    this.storage = storage;
    this.rules = rules;
    this.connected = connected;
    this.apMode = false;
    this.ssid = connected ? storage.getItem('WIFI_SSID') ?? 'board' : '';
  }

  /** socket() works. */
  get up() {
    return this.connected || this.apMode;
  }

  get ip() {
    return this.apMode ? AP_IP : this.stationIp;
  }

  module() {
    const chip = this;
    const { storage, rules } = this;
    const call = (name, callback, ...args) => {
      try {
        callback?.(...args);
      } catch (error) {
        rules.swallowed(name, error);
      }
    };
    const orCallback = (info, callback) => (typeof info === 'function' ? [undefined, info] : [info, callback]);

    class WiFi extends EventEmitter {
      reset(callback) {
        chip.connected = chip.apMode = false;
        call('the callback of reset()', callback, null);
      }

      scan(callback) {
        call('the callback of scan()', callback, null, [{ ssid: 'board', bssid: '00:00:00:00:00:01', security: 'WPA2_PSK', rssi: -50, channel: 1 }]);
      }

      connect(connectInfo, callback) {
        const [given, cb] = orCallback(connectInfo, callback);
        const info = given ?? { enforce: false };
        info.ssid ||= storage.getItem('WIFI_SSID');
        if (!info.ssid) return void cb?.(new Error('WIFI SSID is required')); // the driver is not asked
        info.password ||= storage.getItem('WIFI_PASSWORD');
        info.security ||= storage.getItem('WIFI_SECURITY');
        if (chip.connected && !info.enforce) return call('the callback of connect()', cb, null, { ssid: chip.ssid, bssid: '' });
        Object.assign(chip, { connected: true, ssid: info.ssid });
        for (const event of ['associated', 'connected']) call(`a listener of '${event}'`, () => this.emit(event));
        call('the callback of connect()', cb, null, info);
      }

      disconnect(callback) {
        chip.connected = false;
        call("a listener of 'disconnected'", () => this.emit('disconnected'));
        call('the callback of disconnect()', callback);
      }

      getConnection(callback) {
        call('the callback of getConnection()', callback, null, chip.connected ? { ssid: chip.ssid, bssid: '' } : undefined);
      }

      wifiApMode(apInfo, callback) {
        const [given, cb] = orCallback(apInfo, callback);
        const info = given ?? {};
        info.ssid ||= storage.getItem('WIFI_AP_SSID') ?? 'Kaluma_AP';
        info.password ||= storage.getItem('WIFI_AP_PASSWORD') ?? 'kalumaAp';
        if (info.password.length < 8) throw new Error('PASSWORD need to have at least 8 characters');
        chip.apMode = true;
        call('the callback of wifiApMode()', cb, null, info);
      }

      disableWifiApMode() {
        if (!chip.apMode) throw new Error('WiFi AP_mode is not enabled.');
        chip.apMode = false;
      }

      getWifiApClients() {
        if (!chip.apMode) throw new Error('WiFi AP_mode is not enabled.');
        return [];
      }
    }
    return { WiFi };
  }
}
